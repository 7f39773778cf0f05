import { readFileSync } from 'node:fs';
import { ConfigError, type Problem } from '../config/errors';
import { suggestion } from '../config/suggest';
import { GLUE_TASK_NAMES, glueTask, type GlueTask } from '../data/glue-tasks';
import { allowedLabels, parseLabel, readGlueTsv } from '../data/glue-tsv';
import { evaluateSplit, type Evaluation } from './glue';

const MAX_PROBLEMS = 20;

export interface Score extends Evaluation {
  rows: number;
}

/**
 * The official metrics of a GLUE task for predictions that anybody made.
 *
 * @param predictionsFile one label (a class's name or its index) or score a line, in the order of the references
 * @param referencesTsv the task's own TSV file with labels; for MNLI the matched or the mismatched one, both give `accuracy`
 * @throws ConfigError with file and line where a prediction is not one, or where the numbers of rows differ
 */
export function scoreGlue(taskName: string, predictionsFile: string, referencesTsv: string): Score {
  if (!(GLUE_TASK_NAMES as readonly string[]).includes(taskName)) {
    const known = `${GLUE_TASK_NAMES.join(', ')}${suggestion(taskName, GLUE_TASK_NAMES)}`;
    throw new ConfigError({ where: '--task', message: `"${taskName}" is no task; there are ${known}` });
  }
  const task = glueTask(taskName);
  const labels = readGlueTsv(referencesTsv, task).map(({ label }, i) => {
    if (label === null) {
      throw new ConfigError({ where: referencesTsv, message: `row ${i + 1} has no label; give a split that has column "${task.label}"` });
    }
    return label;
  });
  const predicted = readPredictedLines(predictionsFile, task);
  if (predicted.length !== labels.length) {
    const message = `has ${predicted.length} predictions; ${referencesTsv} has ${labels.length} rows, one prediction a row is expected`;
    throw new ConfigError({ where: predictionsFile, message });
  }
  return { ...evaluateSplit(task.metrics, { suffix: '', predicted, labels }), rows: labels.length };
}

function readPredictedLines(path: string, task: GlueTask): number[] {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError({ where: path, message: `cannot be read (${(error as Error).message})` });
  }
  const lines = content.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines.at(-1) === '') {
    lines.pop();
  }
  const problems: Problem[] = [];
  const values = lines.map((line, i) => {
    const value = parseLabel(line, task);
    if (value === undefined) {
      problems.push({
        where: `${path}:${i + 1}`,
        message: `"${line}" is not a prediction of ${task.name}; ${allowedLabels(task)} expected`,
      });
    }
    return value ?? NaN;
  });
  if (problems.length > 0) {
    throw new ConfigError(problems.slice(0, MAX_PROBLEMS));
  }
  return values;
}
