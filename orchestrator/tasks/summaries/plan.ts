/** Tasks of summarization, from the tables of their rows to planned data sets. */
import { ConfigError, type Problem } from '../../base/errors';
import type { OwnSummariesConfig, SweepConfig } from '../../config/sweep-config';
import type { PlannedSplit, SummaryColumns } from '../../sweep/types';
import { missingFiles } from '../rows/plan';
import { plannedSplit, type FoundRows } from '../../datasets/planned-split';
import type { TaskSource } from '../sources';
import { readSummarySplit, summariesDigest } from './source';
import { SUMMARY_COLUMNS, SUMMARY_METRICS, type SummaryTask } from './published';

type Files = Record<string, string | null>;

/** Reads both tables of XSum or CNN/DailyMail to their ends. */
export async function readSummaryTask(
  task: SummaryTask,
  { source, files }: TaskSource,
  config: SweepConfig,
): Promise<FoundRows> {
  return {
    ...(await found(task, SUMMARY_COLUMNS[task], files, config)),
    metrics: [...SUMMARY_METRICS],
    source,
  };
}

/**
 * Reads both files of a task with the user's own documents to their ends.
 *
 * @throws ConfigError with the problems of both files: every row that cannot be used, at most 20 a
 *   file
 */
export async function readOwnSummaryTask(
  name: string,
  own: OwnSummariesConfig,
  config: SweepConfig,
): Promise<FoundRows> {
  const missing = missingFiles(name, own);
  if (missing.length > 0) throw new ConfigError(missing);
  return {
    ...(await found(name, own.columns, own.files, config)),
    metrics: [...own.metrics],
    source: 'files',
  };
}

async function found(
  task: string,
  columns: SummaryColumns,
  files: Files,
  config: SweepConfig,
): Promise<Omit<FoundRows, 'metrics' | 'source'>> {
  const splits: PlannedSplit[] = [];
  const problems: Problem[] = [];
  for (const [name, file] of Object.entries(files)) {
    try {
      const { rows, leftOut } = await readSummarySplit(task, columns, { name, file });
      const split = plannedSplit(
        name,
        file,
        rows.length,
        summariesDigest(task, { name, file }),
        config,
      );
      splits.push(leftOut === 0 ? split : { ...split, left_out: leftOut });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const summaries = { columns, max_target_length: config.max_target_length };
  return { task, kind: 'summarization', num_labels: 0, label_names: [], summaries, splits };
}
