/** Which failed trials a start runs again: all of them, or those that the user names. */
import type { Command } from 'commander';
import { UserError } from '../base/errors';
import { quoteWord } from '../base/shell-quote';
import { trialDir } from '../store/sweep-store';
import type { Plan, TrialResult } from '../sweep/types';
import { findId } from './find-id';
import { parseList } from './options';

export interface RetryOptions {
  retryFailed?: boolean;
  /** Ids of trials, or their beginnings. */
  retry?: string[];
}

export interface Retries {
  isAsked: boolean;
  /** @throws UserError (exit 2) if a named trial is done: its result counts in every sweep */
  check(results: readonly TrialResult[]): void;
  isFor(result: Pick<TrialResult, 'trial_id' | 'status'>): boolean;
}

export function addRetryOptions(command: Command): Command {
  return command
    .option('--retry-failed', 'rerun all trials that failed in an earlier run of this sweep')
    .option(
      '--retry <trials>',
      'rerun these of the failed trials: ids or beginnings of ids, separated by commas',
      (text, before: string[] = []) => [...before, ...parseList(text)],
    );
}

/** @throws UserError (exit 2) if a named trial is not in the plan */
export function listRetries(
  root: string,
  plan: Plan,
  { retryFailed, retry = [] }: RetryOptions,
): Retries {
  const ids = plan.trials.map(({ id }) => id);
  const hint = `\`sa-orch logs ${quoteWord(plan.sweep_id)}\` and its report name them.`;
  const named = new Set(retry.map((word) => findId(word, ids, `trial of ${plan.sweep_id}`, hint)));
  return {
    isAsked: retryFailed === true || named.size > 0,
    check: (results) => {
      const done = results.find(({ trial_id, status }) => named.has(trial_id) && status === 'done');
      if (done === undefined) return;
      throw new UserError(
        `--retry: ${done.trial_id} is done, and finished trials are never rerun`,
        2,
        `To train it again, first remove ${trialDir(root, done.trial_id)}`,
      );
    },
    isFor: ({ trial_id, status }) =>
      named.has(trial_id) || (retryFailed === true && status === 'failed'),
  };
}
