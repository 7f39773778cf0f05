import { ConfigError } from '../../base/errors';
import { readParquetColumns } from '../../tables/parquet';
import type { Row } from './dataset';
import type { GlueTask } from './published';

/** Reads the rows of a parquet file of GLUE on the hub. */
export async function readGlueParquet(path: string, task: GlueTask): Promise<Row[]> {
  const wanted = [...task.hubText, 'label'];
  const columns = await readParquetColumns(path, wanted);
  return columns[0]!.map((text, i) => {
    const pair = columns.length === 3 ? columns[1]![i] : null;
    const label = Number(columns.at(-1)![i] ?? NaN);
    if (
      typeof text !== 'string' ||
      (pair !== null && typeof pair !== 'string') ||
      Number.isNaN(label)
    ) {
      const shown = wanted.map((name) => `"${name}"`).join(', ');
      throw new ConfigError({
        where: `${path}, row ${i + 1}`,
        message: `must have text and a number in the columns ${shown}`,
      });
    }
    // The hub marks a row without a label with -1.
    return { text, pair, label: label === -1 && task.kind === 'classification' ? null : label };
  });
}
