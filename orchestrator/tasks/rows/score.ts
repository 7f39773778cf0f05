import { ConfigError, type Problem } from '../../base/errors';
import { plural } from '../../base/plural';
import { limitProblems } from '../../tables/problem-list';
import { readLines } from '../../tables/text';
import type { Score, ScoreCommand, ScoreRequest } from '../family';
import { nameLabels, parseLabel, readGlueTsv } from './glue-tsv';
import { evaluateSplit } from './metrics';
import { findGlueTask, type GlueTask } from './published';

export const rowScore: ScoreCommand = {
  options: [],
  help: {
    names: 'GLUE',
    lines: [
      "predictions: one label (or score) per line; references: the task's TSV file,",
      'in the same order',
    ],
    example: '--task mrpc --predictions out.txt --references glue/MRPC/dev.tsv --json',
  },
  run: scoreGlue,
};

/**
 * Computes a GLUE task's metrics. Predictions are one label (a class's name or index) or score per
 * line, in the order of the references: the task's own TSV file with labels. For MNLI that is the
 * matched or the mismatched file, and both give `accuracy`.
 *
 * @throws ConfigError with file and line of what is not a prediction, or if the numbers of rows
 *   differ
 */
function scoreGlue({ task: name, predictions, references }: ScoreRequest): Score {
  const task = findGlueTask(name);
  const labels = readGlueTsv(references, task).map(({ label }, i) => {
    if (label === null) {
      throw new ConfigError({
        where: references,
        message: `row ${i + 1} has no label; give a split that has a column "${task.label}"`,
      });
    }
    return label;
  });
  const predicted = readPredictedLines(predictions, task);
  if (predicted.length !== labels.length) {
    const message =
      `has ${plural(predicted.length, 'prediction')}, but ${references} has ` +
      `${plural(labels.length, 'row')}; ` +
      'must have one prediction per row';
    throw new ConfigError({ where: predictions, message });
  }
  return { ...evaluateSplit(task.metrics, { suffix: '', predicted, labels }), rows: labels.length };
}

function readPredictedLines(path: string, task: GlueTask): number[] {
  const problems: Problem[] = [];
  const values = readLines(path).map((line, i) => {
    const value = parseLabel(line, task);
    if (value === undefined) {
      problems.push({
        where: `${path}:${i + 1}`,
        message: `"${line}" is not a prediction of ${task.name}; must be ${nameLabels(task)}`,
      });
    }
    return value ?? NaN;
  });
  if (problems.length > 0) {
    throw new ConfigError(limitProblems(path, problems, 'lines'));
  }
  return values;
}
