/** Finds the sweep or the trial that a user names by an id or the beginning of one. */
import { join } from 'node:path';
import { UserError } from '../base/errors';
import { quoteWord } from '../base/shell-quote';
import { listFolders } from '../store/needs';
import { readPlan } from '../store/plan-store';
import { listSweeps, readResult } from '../store/sweep-store';
import type { TrialResult } from '../sweep/types';
import { matchIds } from './find-id';
import { findAnywhere, findSweep, type FoundSweep } from './find-place';
import { listOpenIds } from './open-sweeps';
import type { PlaceOptions } from './options';

/** trial: null if the word names the sweep. */
export type Target = FoundSweep & { trial: string | null };

export interface TargetOptions extends PlaceOptions {
  /** Of several that have the trial. */
  sweep?: string;
}

/**
 * @param isMeant whether a trial of several sweeps is meant in one where it came to this
 * @throws UserError (exit 2) if nothing is named so, or several
 */
export async function findTarget(
  word: string,
  options: TargetOptions,
  isMeant: (result: TrialResult | null) => boolean,
): Promise<Target> {
  const isTrial = /^t[0-9a-f]*$/.test(word);
  const found = isTrial ? await findAnywhere(word, options, listIds) : undefined;
  if (found === undefined || (await listSweeps(found.root)).includes(found.id))
    return { ...(await findSweep(word, options, listOpenIds)), trial: null };
  const { id: trial, root, stateDir } = found;
  const owners: string[] = [];
  for (const sweepId of await listSweeps(root)) {
    const plan = await readPlan(root, sweepId).catch(() => null);
    if (plan?.trials.some(({ id }) => id === trial)) owners.push(sweepId);
  }
  const sweepId = await chooseSweep(trial, owners, { ...options, root }, isMeant);
  return { sweepId, root, stateDir, trial };
}

const listIds = async (root: string): Promise<string[]> => [
  ...(await listSweeps(root)),
  ...(await listFolders(join(root, 'trials'))),
];

async function chooseSweep(
  trial: string,
  owners: readonly string[],
  { root, sweep }: TargetOptions & { root: string },
  isMeant: (result: TrialResult | null) => boolean,
): Promise<string> {
  const named = sweep === undefined ? owners : matchIds(sweep, owners);
  const meant: string[] = [];
  for (const id of named) if (isMeant(await readResult(root, id, trial))) meant.push(id);
  const [only, ...others] = named.length > 1 ? meant : named;
  if (only === undefined)
    throw new UserError(
      owners.length === 0 || named.length > 0
        ? `no sweep in ${root} has anything to do with ${trial}`
        : `no sweep that has ${trial} has the id ${sweep}`,
      2,
      owners.length === 0 ? undefined : `It is a trial of ${owners.join(', ')}.`,
    );
  if (others.length === 0) return only;
  throw new UserError(
    `${trial} is a trial of ${[only, ...others].join(', ')}`,
    2,
    `Say which is meant: --sweep ${quoteWord(only)}`,
  );
}
