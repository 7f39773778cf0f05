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
  if (results.length === countTrials(plan)) return cancelled > 0 ? 'cancelled' : 'complete';
  return state === 'unknown' ? 'not running' : state;
}

/** The same in a sentence, for a request that comes too late. */
export async function describeEnd(
  root: string,
  sweepId: string,
  state: WorkflowState,
): Promise<{ end: EndedState; sentence: string }> {
  const plan = await readPlan(root, sweepId);
  const results = await readResults(root, plan);
  const end = nameEnd(state, plan, results);
  const [done, stopped] = ['done', 'stopped'].map(
    (status) => results.filter((result) => result.status === status).length,
  ) as [number, number];
  const words: Partial<Record<EndedState, string>> = {
    complete: 'has finished',
    finished: 'has finished',
    cancelled: 'was cancelled',
    stopped: 'has stopped',
    failed: 'has failed',
  };
  const early = stopped > 0 ? `, ${stopped} stopped early` : '';
  const counts = `${done} of ${countTrials(plan)} trials done${early}`;
  return { end, sentence: `${sweepId} ${words[end] ?? 'is not running'} (${counts})` };
}
