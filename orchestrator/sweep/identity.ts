import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical';
import type { PlannedChoice, Trial } from './types';

/**
 * Raised when an unchanged configuration would compute something else than before, so that old
 * results are not taken for new ones.
 */
const TRIAL_FORMAT = 1;

/** Hex SHA-256 of a value's canonical JSON. */
export function digestValue(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/**
 * `t` and 16 hex digits, from everything that a trial's results depend on: data set, backbone,
 * adapter, pruning, training, generation, precision, seed.
 */
export function trialId(trial: Omit<Trial, 'id'>): string {
  const { task, dataset, backbone, adapter, prune, train, generation, precision, seed } = trial;
  const all = { task, dataset, backbone, adapter, prune, train, generation, precision, seed };
  return `t${digestValue({ format: TRIAL_FORMAT, ...all }).slice(0, 16)}`;
}

/** The trials, each once, where it first appears. */
export function dropRepeated(trials: readonly Trial[]): Trial[] {
  return [...new Map(trials.map((trial) => [trial.id, trial])).values()];
}

/**
 * `<name>-<8 hex digits>`, from the set of trial ids: their order does not matter. With a search
 * also from what it chooses between, because the same trials may be grouped in other ways.
 */
export function sweepId(
  name: string,
  trialIds: readonly string[],
  choices: readonly PlannedChoice[] = [],
): string {
  const trials = [...trialIds].sort();
  const grouped = choices.map(({ candidates }) =>
    candidates.map(({ trials, confirm }) => [...trials, ...confirm.map(({ id }) => id)]),
  );
  const content = grouped.length === 0 ? trials : { trials, choices: grouped };
  return `${name}-${digestValue(content).slice(0, 8)}`;
}
