/** What the sweeps under an artifact root still need. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from '../../common/files';
import { ConfigError } from '../base/errors';
import { listCandidateTrials } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { planPath, trialDir } from './sweep-store';

/** The parts of a plan that say what its sweep needs; those of earlier formats have them, too. */
interface PlanParts {
  backbone: { path: string; digest: string };
  datasets: { digest: string }[];
  trials: { id: string }[];
  /** Those that a search may choose. */
  search?: Plan['search'];
}

export interface Needs {
  /** Trials of each sweep, by its id. */
  sweeps: ReadonlyMap<string, ReadonlySet<string>>;
  /** Digests of the data sets that some sweep has: its report measures them, too. */
  datasets: ReadonlySet<string>;
  /** Directories of backbones of sweeps that are not complete. */
  backbones: ReadonlySet<string>;
  /** Their digests. */
  backboneDigests: ReadonlySet<string>;
  /** Trials with a folder that are done. */
  done: ReadonlySet<string>;
  /** Trials of a sweep that are not done: their sweep may be open, or be started again. */
  open: ReadonlySet<string>;
}

/** @throws ConfigError if a plan cannot be read, so that nobody knows what its sweep needs */
export async function readNeeds(root: string): Promise<Needs> {
  const done = new Set<string>();
  for (const id of await listFolders(join(root, 'trials'))) if (isDone(root, id)) done.add(id);
  const sweeps = new Map<string, ReadonlySet<string>>();
  const [datasets, backbones, open] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const backboneDigests = new Set<string>();
  for (const sweepId of await listFolders(join(root, 'sweeps'))) {
    const plan = readParts(planPath(root, sweepId));
    if (plan === undefined) continue;
    const trials = [...plan.trials, ...listCandidateTrials(plan)].map(({ id }) => id);
    sweeps.set(sweepId, new Set(trials));
    for (const { digest } of plan.datasets) datasets.add(digest);
    const unfinished = trials.filter((id) => !done.has(id));
    for (const id of unfinished) open.add(id);
    if (unfinished.length === 0) continue;
    backbones.add(plan.backbone.path);
    backboneDigests.add(plan.backbone.digest);
  }
  return { sweeps, datasets, backbones, backboneDigests, done, open };
}

/** Names in a folder, without those of half-written ones; empty if there is no such folder. */
export async function listFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

function isDone(root: string, trialId: string): boolean {
  try {
    const text = readIfThere(join(trialDir(root, trialId), 'result.json'));
    return text !== undefined && (JSON.parse(text) as { status?: string }).status === 'done';
  } catch {
    // What cannot be read proves nothing.
    return false;
  }
}

/** undefined: there is no plan, so nothing can run. */
function readParts(path: string): PlanParts | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const plan = JSON.parse(text) as PlanParts;
    const isWhole =
      Array.isArray(plan.trials) && Array.isArray(plan.datasets) && plan.backbone !== undefined;
    if (isWhole) return plan;
  } catch {
    // Said below.
  }
  throw new ConfigError({
    where: path,
    message:
      'cannot be read as a plan, so nobody knows what its sweep needs; move the folder of the ' +
      'sweep elsewhere to go on without it',
  });
}
