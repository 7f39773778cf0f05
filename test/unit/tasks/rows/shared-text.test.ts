import { groupByText } from '../../../../orchestrator/tasks/rows/shared-text';
import type { Row } from '../../../../orchestrator/tasks/rows/dataset';

const row = (text: string, pair: string | null = null): Row => ({ text, pair, label: 0 });
const groups = (rows: Row[]) => rows.map(groupByText(rows));

test('rows with one text belong together, spaces around it aside', () => {
  expect(groups([row('a'), row(' a '), row('b')])).toEqual(['a', 'a', 'b']);
});

test('pairs belong together by the column with fewer different texts', () => {
  expect(groups([row('p', 'x'), row('p', 'y'), row('q', 'z')])).toEqual(['p', 'p', 'q']);
  expect(groups([row('x', 'p'), row('y', 'p'), row('z', 'q')])).toEqual(['p', 'p', 'q']);
});
