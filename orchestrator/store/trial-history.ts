/** Every trial that was ever run under an artifact root, whichever sweeps had it. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mapBounded } from '../base/bounded';
import { ConfigError } from '../base/errors';
import { heldOutDigests } from '../sweep/lookup';
import type { Trial, TrialResult } from '../sweep/types';
import { listFolders } from './needs';
import { readPlan } from './plan-store';
import { readJson } from './read-files';
import { listSweeps, readDoneResult, trialDir } from './sweep-store';

export interface PastTrial {
  trial_id: string;
  /** null if its configuration was removed or is of another version. */
  config: Trial | null;
  /** null if it is not done. */
  result: TrialResult | null;
  /** When its result was written, as ISO 8601; null if it is not done. */
  when: string | null;
  /** Ids of the sweeps here that have it. */
  sweeps: string[];
  /** Whether it was measured on rows that a search held out of train. */
  isHeldOut: boolean;
  /** Files of it that cannot be read, a sentence for each. */
  problems: string[];
}

/** The oldest first; those that are not done last, by id. */
export async function readHistory(root: string): Promise<PastTrial[]> {
  const owners = await listOwners(root);
  const trials: PastTrial[] = [];
  await mapBounded(await listFolders(join(root, 'trials')), async (id) => {
    const problems: string[] = [];
    const orProblem = (error: unknown): null => {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(error.message);
      return null;
    };
    const result = await readDoneResult(root, id).catch(orProblem);
    const written = result && (await stat(join(trialDir(root, id), 'result.json')));
    trials.push({
      trial_id: id,
      config: await readJson<Trial>(join(trialDir(root, id), 'config.json')).catch(orProblem),
      result,
      when: written ? written.mtime.toISOString() : null,
      sweeps: owners.get(id)?.sweeps ?? [],
      isHeldOut: owners.get(id)?.isHeldOut ?? false,
      problems,
    });
  });
  const order = ({ when, trial_id: id }: PastTrial) => `${when ?? '~'} ${id}`;
  return trials.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

type Owners = Pick<PastTrial, 'sweeps' | 'isHeldOut'>;

/** What the sweeps say of a trial, by its id. Plans of other versions are passed over. */
async function listOwners(root: string): Promise<Map<string, Owners>> {
  const owners = new Map<string, Owners>();
  for (const sweep of await listSweeps(root)) {
    const plan = await readPlan(root, sweep).catch(() => null);
    if (plan === null) continue;
    const heldOut = heldOutDigests(plan);
    for (const { id, dataset } of plan.trials) {
      const sweeps = [...(owners.get(id)?.sweeps ?? []), sweep];
      owners.set(id, { sweeps, isHeldOut: heldOut.has(dataset) });
    }
  }
  return owners;
}
