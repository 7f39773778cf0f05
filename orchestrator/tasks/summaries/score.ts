import { ConfigError } from '../../base/errors';
import { readTexts } from './texts';
import { SUMMARY_COLUMNS, type SummaryTask } from './published';
import { isTable, readLines } from '../../tables/table';
import { meanRouge, type RougeOptions } from './rouge';
import type { Score } from '../score-result';

/**
 * ROUGE of summaries, each in [0, 1]; see meanRouge.
 *
 * @param predictionsFile JSONL, CSV, TSV or parquet with a column `summary`, or a text file with
 *   one summary a line; in the order of the references. Only the former can hold summaries of
 *   several lines, which rougeLsum takes for sentences
 * @param referencesFile JSONL, CSV, TSV or parquet with the data set's column of summaries
 *   (`summary`, `highlights`)
 * @throws ConfigError with file and line where there is no summary, or where the numbers of rows
 *   differ
 */
export async function scoreSummaries(
  task: SummaryTask,
  predictionsFile: string,
  referencesFile: string,
  options: RougeOptions,
): Promise<Score> {
  const references = await readTexts(referencesFile, SUMMARY_COLUMNS[task].summary, false);
  const predictions = isTable(predictionsFile)
    ? await readTexts(predictionsFile, 'summary', true)
    : readLines(predictionsFile);
  if (predictions.length !== references.length) {
    const message = `has ${predictions.length} summaries; ${referencesFile} has ${references.length} rows, one summary a row is expected`;
    throw new ConfigError({ where: predictionsFile, message });
  }
  const pairs = references.map((reference, i) => ({ reference, prediction: predictions[i]! }));
  return { metrics: { ...meanRouge(pairs, options) }, warnings: [], rows: references.length };
}
