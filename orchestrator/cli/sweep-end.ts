/** How a sweep that is not open ended, by the server and its files. */
import { readPlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { countTrials } from '../sweep/search';
import type { Plan, TrialResult } from '../sweep/types';
import type { WorkflowState } from './follow';

export type EndedState = WorkflowState | 'complete' | 'not running';

/**
 * Another sweep may have finished the rest of a stopped or cancelled one, and the server forgets:
 * files decide where they say more.
 */
export function nameEnd(
  state: WorkflowState,
  plan: Plan,
  results: readonly TrialResult[],
): EndedState {
  const cancelled = results.filter(({ status }) => status === 'cancelled').length;
  // A sweep that has finished went on without the trials that were cancelled.
  const isCancelled = cancelled > 0 && state !== 'finished';
  if (results.length === countTrials(plan)) return isCancelled ? 'cancelled' : 'complete';
  return state === 'unknown' ? 'not running' : state;
}

/** A sweep's state, open or not, as `status` and the documents of `start` and `watch` say it. */
export function nameState(
  state: WorkflowState,
  plan: Plan,
  results: readonly TrialResult[],
): EndedState {
  const hasEnded =
    ['unknown', 'finished', 'server out of reach'].includes(state) ||
    // Another sweep may have finished the rest of a stopped one.
    (['stopped', 'cancelled'].includes(state) && results.length === countTrials(plan));
  return hasEnded ? nameEnd(state, plan, results) : state;
}

/** How an ended sweep ended in a sentence, for a request that comes too late. */
export async function describeEnd(
  root: string,
  sweepId: string,
  state: WorkflowState,
): Promise<{ end: EndedState; sentence: string }> {
  const plan = await readPlan(root, sweepId);
  const results = await readResults(root, plan);
  const end = nameEnd(state, plan, results);
  const [done, stopped, cancelled] = ['done', 'stopped', 'cancelled'].map(
    (status) => results.filter((result) => result.status === status).length,
  ) as [number, number, number];
  const words: Partial<Record<EndedState, string>> = {
    complete: 'has finished',
    finished: 'has finished',
    cancelled: 'was cancelled',
    stopped: 'has stopped',
    failed: 'has failed',
  };
  const early = stopped > 0 ? `, ${stopped} stopped early` : '';
  const without = end === 'complete' && cancelled > 0 ? `, ${cancelled} cancelled` : '';
  const counts = `${done} of ${countTrials(plan)} trials done${early}${without}`;
  return { end, sentence: `${sweepId} ${words[end] ?? 'is not running'} (${counts})` };
}
