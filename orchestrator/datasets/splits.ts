/** The splits of a data set, as planned and as written. */
import { join } from 'node:path';
import { ConfigError, type Problem } from '../base/errors';
import { nameFile } from '../base/name-file';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';

/** Maximum training rows and validation rows; null takes all. */
export type RowLimits = Pick<PlannedDataset, 'rows' | 'validation_rows'>;

/** Where a split is read from: a file, or null for generated rows. */
export type SplitSource = Pick<PlannedSplit, 'name' | 'file'>;

/** The maximum rows of this split; null takes all. */
export function findLimit({ rows, validation_rows }: RowLimits, split: string): number | null {
  return split === 'train' ? rows : validation_rows;
}

/** Plans a split of `of` rows, of which as many are used as the limits allow. */
export function planSplit(
  { name, file }: SplitSource,
  of: number,
  digest: string,
  limits: RowLimits,
): PlannedSplit {
  return { name, file, rows: Math.min(of, findLimit(limits, name) ?? of), of, digest };
}

/**
 * Reads every split of a task.
 *
 * @throws ConfigError with the problems of all files together
 */
export async function readEverySplit<Read>(
  files: Record<string, string | null>,
  read: (split: SplitSource) => Promise<Read>,
): Promise<{ split: SplitSource; read: Read }[]> {
  const all: { split: SplitSource; read: Read }[] = [];
  const problems: Problem[] = [];
  for (const [name, file] of Object.entries(files)) {
    try {
      all.push({ split: { name, file }, read: await read({ name, file }) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return all;
}

/** The splits that are predicted: all except the training split. */
export function listEvaluationSplits({ splits }: Pick<PlannedDataset, 'splits'>): string[] {
  return splits.map(({ name }) => name).filter((name) => name !== 'train');
}

/** A split as written to disk. */
export interface PreparedSplit {
  name: string;
  /** For question answering, questions. */
  rows: number;
  /** Only for question answering: windows, which are the rows of the file. */
  features?: number;
  /** Tokens in total, and in the longest row. */
  tokens: number;
  longest: number;
  /** Rows that max_length truncated; questions never are. */
  truncated: number;
  /** Only for summarization: tokens of all summaries, and summaries that were truncated. */
  targets?: { tokens: number; truncated: number };
}

/** The folder of a data set under the artifact root. */
export function datasetPath(root: string, digest: string): string {
  return join(root, 'datasets', nameFile('dataset', digest));
}
