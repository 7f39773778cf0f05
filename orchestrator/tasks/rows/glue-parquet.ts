import { ConfigError } from '../../base/errors';
import { readParquetObjects } from '../../tables/parquet';
import type { Row } from './dataset';
import type { GlueTask } from './published';

/** Reads the rows of a parquet file of GLUE on the hub. */
export async function readGlueParquet(path: string, task: GlueTask): Promise<Row[]> {
  const objects = await readParquetObjects(path);
  const [first, second] = task.hubText;
  return objects.map((row, i) => {
    const text = row[first];
    const pair = second === undefined ? null : row[second];
    const label = Number(row.label);
    if (
      typeof text !== 'string' ||
      (pair !== null && typeof pair !== 'string') ||
      Number.isNaN(label)
    ) {
      const columns = [...task.hubText, 'label'].join(', ');
      throw new ConfigError({
        where: `${path}, row ${i + 1}`,
        message: `must have the columns ${columns}; it has ${Object.keys(row).join(', ')}`,
      });
    }
    // The hub marks a row without a label with -1.
    return { text, pair, label: label === -1 && task.kind === 'classification' ? null : label };
  });
}
