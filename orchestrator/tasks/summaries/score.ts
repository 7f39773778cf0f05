import { ConfigError } from '../../base/errors';
import { plural } from '../../base/plural';
import { isTable } from '../../tables/table';
import { readLines } from '../../tables/text';
import type { Score, ScoreCommand, ScoreRequest } from '../family';
import { SUMMARY_COLUMNS, type SummaryTask } from './published';
import { meanRouge } from './rouge';
import { readTexts } from './texts';

export const summaryScore: ScoreCommand = {
  options: [
    {
      flags: '--no-stemmer',
      description: 'xsum, cnn_dailymail: compare words instead of their stems',
      key: 'stemmer',
      // commander stores a given --no-… flag as false.
      isGiven: (value) => value === false,
      tasks: ['xsum', 'cnn_dailymail'],
      reason: 'whose metric is ROUGE',
    },
  ],
  help: {
    names: 'xsum, cnn_dailymail',
    lines: [
      'predictions: one summary per line, or JSONL, CSV, TSV or parquet with a',
      'column "summary"; references: JSONL, CSV, TSV or parquet with the data set\'s',
      'columns; ROUGE F1 in [0, 1], as rouge-score computes it',
    ],
    example: '--task xsum --predictions summaries.txt --references validation.jsonl',
  },
  run: scoreSummaries,
};

/**
 * Computes ROUGE of summaries, in [0, 1]; see meanRouge. Predictions are JSONL, CSV, TSV or parquet
 * with a column `summary`, or a text file with one summary per line, in the order of the
 * references. References are a table with the data set's summary column (`summary`, `highlights`).
 * Only tables can have summaries of several lines, which rougeLsum takes as sentences.
 *
 * @throws ConfigError with file and line if there is no summary, or if the numbers of rows differ
 */
async function scoreSummaries({
  task,
  predictions: predictionsFile,
  references: referencesFile,
  stemmer = true,
}: ScoreRequest): Promise<Score> {
  const { summary } = SUMMARY_COLUMNS[task as SummaryTask];
  const references = await readTexts(referencesFile, summary, false);
  const predictions = isTable(predictionsFile)
    ? await readTexts(predictionsFile, 'summary', true)
    : readLines(predictionsFile);
  if (predictions.length !== references.length) {
    const message =
      `has ${predictions.length === 1 ? '1 summary' : `${predictions.length} summaries`}, but ` +
      `${referencesFile} has ${plural(references.length, 'row')}; ` +
      'must have one summary per row';
    throw new ConfigError({ where: predictionsFile, message });
  }
  const pairs = references.map((reference, i) => ({ reference, prediction: predictions[i]! }));
  return {
    metrics: { ...meanRouge(pairs, { stemmer: stemmer === true }) },
    warnings: [],
    rows: references.length,
  };
}
