/** The splits of a data set: as they are planned, and as they are written. */
import { join } from 'node:path';
import { ConfigError, type Problem } from '../base/errors';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';

/** At most this many training and validation rows; null takes all. */
export type RowLimits = Pick<PlannedDataset, 'rows' | 'validation_rows'>;

/** Where a split is read from: a file, or null for rows that are generated. */
export type SplitSource = Pick<PlannedSplit, 'name' | 'file'>;

/** How many rows of this split are used at most; null takes all. */
export function findLimit({ rows, validation_rows }: RowLimits, split: string): number | null {
  return split === 'train' ? rows : validation_rows;
}

/** A split of which as many rows are used as its limit allows; `of` rows are there. */
export function planSplit(
  { name, file }: SplitSource,
  of: number,
  digest: string,
  limits: RowLimits,
): PlannedSplit {
  return { name, file, rows: Math.min(of, findLimit(limits, name) ?? of), of, digest };
}

/**
 * Reads every split of a task, the problems of all files together.
 *
 * @throws ConfigError with them
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

/** The splits that are predicted: all but the one that is trained on. */
export function listEvaluationSplits({ splits }: Pick<PlannedDataset, 'splits'>): string[] {
  return splits.map(({ name }) => name).filter((name) => name !== 'train');
}

/** A split as it was written. */
export interface PreparedSplit {
  name: string;
  /** Of question answering, questions. */
  rows: number;
  /** Of question answering: windows, which are the rows of the file. */
  features?: number;
  /** Tokens in all, and of the longest row. */
  tokens: number;
  longest: number;
  /** Rows that lost tokens to max_length; a question loses none. */
  truncated: number;
  /**
   * Of summarization: tokens of all summaries, and how many of them lost some to max_target_length.
   */
  targets?: { tokens: number; truncated: number };
}

/** The folder of a data set under the artifact root. */
export function datasetPath(root: string, digest: string): string {
  return join(root, 'datasets', digest);
}
