import { ConfigError, type Problem } from '../base/errors';
import { suggestion } from '../base/suggest';
import { glueTask, type GlueTask, type GlueTaskName } from './rows/published';
import { allowedLabels, parseLabel, readGlueTsv } from './rows/glue-tsv';
import { limitProblems } from '../tables/problem-list';
import { PUBLISHED_TASK_NAMES } from '../datasets/published';
import { isSummaryTask } from './summaries/published';
import { readLines } from '../tables/table';
import { evaluateSplit } from './rows/metrics';
import type { Score } from './score-result';
import { scoreSquad } from './questions/score';
import { scoreSummaries } from './summaries/score';

/** Files as their task's official scripts take them; see the functions for each. */
export interface ScoreRequest {
  task: string;
  predictions: string;
  references: string;
  /** squad_v2's no-answer scores. */
  noAnswer?: string;
  /** Of xsum and cnn_dailymail; see RougeOptions. */
  stemmer?: boolean;
}

export const SCORED_TASKS = PUBLISHED_TASK_NAMES;
type ScoredTask = (typeof SCORED_TASKS)[number];

/**
 * The official metrics of a task for predictions that anybody made.
 *
 * @throws ConfigError with file and line, place or id of what is wrong
 */
export async function scoreTask({
  task,
  predictions,
  references,
  noAnswer,
  stemmer = true,
}: ScoreRequest): Promise<Score> {
  if (!isScored(task)) {
    const known = `${SCORED_TASKS.join(', ')}${suggestion(task, SCORED_TASKS)}`;
    throw new ConfigError({ where: '--task', message: `"${task}" is no task; there are ${known}` });
  }
  if (noAnswer !== undefined && task !== 'squad_v2') {
    throw new ConfigError({
      where: '--na-probs',
      message: `belongs to squad_v2, whose questions can have no answer; leave it out for ${task}`,
    });
  }
  const summaries = isSummaryTask(task);
  if (!stemmer && !summaries) {
    throw new ConfigError({
      where: '--no-stemmer',
      message: `belongs to xsum and cnn_dailymail, whose metric is ROUGE; leave it out for ${task}`,
    });
  }
  if (summaries) return scoreSummaries(task, predictions, references, { stemmer });
  if (task === 'squad' || task === 'squad_v2')
    return scoreSquad(task, predictions, references, noAnswer);
  return scoreGlue(task, predictions, references);
}

function isScored(name: string): name is ScoredTask {
  return (SCORED_TASKS as readonly string[]).includes(name);
}

/**
 * A GLUE task's metrics.
 *
 * @param predictionsFile one label (a class's name or its index) or score a line, in the order of
 *   the references
 * @param referencesTsv the task's own TSV file with labels; for MNLI the matched or the mismatched
 *   one, both give `accuracy`
 * @throws ConfigError with file and line where a prediction is not one, or where the numbers of
 *   rows differ
 */
function scoreGlue(taskName: GlueTaskName, predictionsFile: string, referencesTsv: string): Score {
  const task = glueTask(taskName);
  const labels = readGlueTsv(referencesTsv, task).map(({ label }, i) => {
    if (label === null) {
      throw new ConfigError({
        where: referencesTsv,
        message: `row ${i + 1} has no label; give a split that has column "${task.label}"`,
      });
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
  const problems: Problem[] = [];
  const values = readLines(path).map((line, i) => {
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
    throw new ConfigError(limitProblems(path, problems, 'lines'));
  }
  return values;
}
