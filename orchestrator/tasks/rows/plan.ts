/** A task with the user's own files, from its description in a sweep file to planned rows. */
import { existsSync } from 'node:fs';
import { ConfigError, type Problem } from '../../base/errors';
import type { OwnRowsConfig, OwnTaskConfig, SweepConfig } from '../../config/sweep-config';
import { readOwnRows } from './own-tables';
import { plannedSplit, type FoundRows } from '../../datasets/planned-split';
import { fileDigest } from '../sources';

/**
 * Reads both files of a task to their ends. The training file says which classes there are.
 *
 * @throws ConfigError with the problems of both files: every row that cannot be used, at most 20 a
 *   file
 */
export async function readOwnTask(
  name: string,
  own: OwnRowsConfig,
  config: SweepConfig,
): Promise<FoundRows> {
  const { origin, kind, files, text, label, metrics } = own;
  const missing = missingFiles(name, own);
  if (missing.length > 0) throw new ConfigError(missing);
  const columns = { text, label };
  const train = await readOwnRows(files.train, { kind, columns }, null);
  // Classes of a file with problems are not all there: no label is held against them.
  const known = train.problems.length > 0 ? null : train.labels;
  const validation = await readOwnRows(files.validation, { kind, columns }, known);
  const problems = [...train.problems, ...validation.problems];
  if (problems.length > 0) throw new ConfigError(problems);
  if (kind === 'classification' && train.labels.length < 2) {
    const message = `has one class only: "${label}" is ${JSON.stringify(train.labels[0])} in every row; at least two are expected`;
    throw new ConfigError({ where: files.train, message });
  }
  if (metrics.includes('f1') && train.labels.length > 2) {
    const message = `${name}: metrics: f1 is of two classes, and ${files.train} has ${train.labels.length}; must be macro_f1 for more`;
    throw new ConfigError({ where: origin, message });
  }
  return {
    task: name,
    kind,
    num_labels: kind === 'regression' ? 1 : train.labels.length,
    label_names: train.labels,
    metrics: [...metrics],
    source: 'files',
    columns,
    splits: [
      plannedSplit('train', files.train, train.rows.length, fileDigest(files.train), config),
      plannedSplit(
        'validation',
        files.validation,
        validation.rows.length,
        fileDigest(files.validation),
        config,
      ),
    ],
  };
}

/** A problem for each of a task's files that is not there. */
export function missingFiles(
  name: string,
  { origin, files }: Pick<OwnTaskConfig, 'origin' | 'files'>,
): Problem[] {
  return (['train', 'validation'] as const)
    .filter((split) => !existsSync(files[split]))
    .map((split) => ({
      where: origin,
      message: `${name}: ${split}: there is no file ${files[split]}; a path is taken from the folder of the sweep file`,
    }));
}
