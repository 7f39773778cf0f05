/** Reads the rows of a split: from GLUE's files, the hub's or the user's own, or generated. */
import { ConfigError } from '../../base/errors';
import type { SplitSource } from '../../datasets/splits';
import { digestValue } from '../../sweep/identity';
import { digestFile } from '../../tables/file-digest';
import type { Row, RowsDataset } from './dataset';
import { makeDemoRows } from './demo-rows';
import { readGlueParquet } from './glue-parquet';
import { readGlueTsv } from './glue-tsv';
import { readOwnRows } from './own-tables';
import { findGlueTask, type GlueTask } from './published';

/** Reads the rows of a split of a planned data set. */
export async function readRows(
  { task, columns, kind, label_names }: RowsDataset,
  split: SplitSource,
): Promise<Row[]> {
  if (columns === undefined || split.file === null) return readGlueRows(findGlueTask(task), split);
  // Problems are ignored here, because planning found none.
  return (await readOwnRows(split.file, { kind, columns }, label_names)).rows;
}

/** Hex SHA-256 of the source of such a split. */
export function digestRows({ task, columns }: RowsDataset, split: SplitSource): string {
  return columns === undefined || split.file === null
    ? digestGlueRows(findGlueTask(task), split)
    : digestFile(split.file);
}

/** Reads the rows of a split of a GLUE task. */
export function readGlueRows(task: GlueTask, { name, file }: SplitSource): Promise<Row[]> {
  if (file === null) return Promise.resolve(makeDemoRows(task, name));
  return file.endsWith('.parquet')
    ? readGlueParquet(file, task)
    : Promise.resolve(readGlueTsv(file, task));
}

/** Hex SHA-256 of the source of such a split. */
export function digestGlueRows(task: GlueTask, { name, file }: SplitSource): string {
  return file === null ? digestValue(makeDemoRows(task, name)) : digestFile(file);
}

/** @throws ConfigError if a row has no label */
export function checkLabels(task: GlueTask, rows: readonly Row[], split: SplitSource): void {
  const unlabelled = rows.findIndex((row) => row.label === null);
  if (unlabelled === -1) return;
  throw new ConfigError({
    where: split.file ?? task.name,
    message: `row ${unlabelled + 1} has no label; ${split.name} must have a column "${task.label}"`,
  });
}
