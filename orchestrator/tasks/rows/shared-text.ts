import type { GroupOf } from '../../datasets/hold-out';
import type { Row } from './dataset';

/**
 * Which rows must not be trained on and measured by at once: those with the same text. Of pairs, by
 * the column with fewer different texts, as many pairs are about one premise or one paragraph.
 */
export function groupByText(rows: readonly Row[]): GroupOf<Row> {
  const columns: GroupOf<Row>[] = [
    ({ text }) => text.trim(),
    ({ text, pair }) => (pair ?? text).trim(),
  ];
  const [first, second] = columns.map((column) => new Set(rows.map(column)).size) as [
    number,
    number,
  ];
  return second < first ? columns[1]! : columns[0]!;
}
