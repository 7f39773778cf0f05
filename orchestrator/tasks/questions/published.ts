import type { SquadTask } from './squad-json';

/** SQuAD v1.1 (Rajpurkar 2016) and v2.0 (Rajpurkar 2018), by the names that configurations use. */
export const SQUAD_TASK_NAMES: readonly [SquadTask, SquadTask] = ['squad', 'squad_v2'];

/**
 * Outputs of a model of question answering: a token's logits as an answer's first and as its last.
 */
export const QUESTION_OUTPUTS = 2;

/**
 * Metrics of questions in report order, the first decides; the second list is of questions that may
 * have no answer.
 */
export const ANSWERED_METRICS = ['f1', 'exact_match'] as const;
export const QUESTION_METRICS = [
  ...ANSWERED_METRICS,
  'best_f1',
  'has_answer_f1',
  'no_answer_f1',
] as const;

export function isSquadTask(name: string): name is SquadTask {
  return (SQUAD_TASK_NAMES as readonly string[]).includes(name);
}

/** What questions are measured by where nobody says it. */
export function questionMetrics(noAnswer: boolean): readonly string[] {
  return noAnswer ? QUESTION_METRICS : ANSWERED_METRICS;
}
