/**
 * What may be removed under an artifact root: files that no sweep needs and that are no results.
 * Adapters, masks, results, configurations, plans and reports always stay.
 */
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LEFTOVER } from '../../common/temporary-names';
import { listFolders, type Needs } from './needs';
import { trialDir } from './sweep-store';

export const KINDS = [
  'checkpoints',
  'predictions',
  'datasets',
  'backbones',
  'copies',
  'leftovers',
  'jobs',
  'caches',
] as const;
export type Kind = (typeof KINDS)[number];

/** A file or folder that may go. */
export interface Removable {
  kind: Kind;
  path: string;
  bytes: number;
}

export interface Limits {
  /** Only what belongs to this sweep; null for everything. */
  sweep: string | null;
  /** Only what was last changed before this, in milliseconds since the epoch. */
  before: number;
}

/** What changed within the hour may still be in somebody's hands. */
const IN_HAND_MS = 3_600_000;
/**
 * What came from an orchestrator elsewhere may be all there is of a result until it is fetched, and
 * what a sweep there needs cannot be known here. It is sent again if it is needed.
 */
const RECEIVED_MS = 7 * 24 * IN_HAND_MS;

export async function findUnneeded(
  root: string,
  needs: Needs,
  limits: Limits,
  now: number,
): Promise<Removable[]> {
  const ofSweep = limits.sweep === null ? null : needs.sweeps.get(limits.sweep)!;
  const trials = (await listFolders(join(root, 'trials'))).filter((id) => ofSweep?.has(id) ?? true);
  const isReceived = existsSync(join(root, '.uploads'));
  const isCopy = (id: string): boolean =>
    isReceived && !existsSync(join(trialDir(root, id), 'config.json'));
  const own = trials.filter((id) => !isCopy(id));
  const found: Found[] = [];
  for (const id of own) found.push(...(await listTrialFiles(trialDir(root, id), id, needs)));
  const copies: Found[] = trials
    .filter(isCopy)
    .map((id) => ({ kind: 'copies', path: trialDir(root, id) }));
  if (ofSweep === null) {
    const shared = isReceived ? copies : found;
    for (const digest of await listFolders(join(root, 'datasets')))
      if (!needs.datasets.has(digest))
        shared.push({
          kind: isReceived ? 'copies' : 'datasets',
          path: join(root, 'datasets', digest),
        });
    for (const digest of await listFolders(join(root, 'backbones')))
      if (!needs.backboneDigests.has(digest))
        shared.push({
          kind: isReceived ? 'copies' : 'backbones',
          path: join(root, 'backbones', digest),
        });
  }
  const places = ofSweep === null ? [root] : trials.map((id) => trialDir(root, id));
  return [
    ...measureAll(found, limits.before),
    ...measureAll(copies, Math.min(limits.before, now - RECEIVED_MS)),
    ...measureAll(places.flatMap(listLeftovers), Math.min(limits.before, now - IN_HAND_MS)),
  ];
}

type Found = Pick<Removable, 'kind' | 'path'>;

async function listTrialFiles(folder: string, id: string, { done, open }: Needs): Promise<Found[]> {
  const found: Found[] = [];
  const checkpoints = join(folder, 'checkpoints');
  // The adapter is what checkpoints and predictions were made for, or can be made from again.
  if (!existsSync(join(folder, 'adapter'))) return found;
  if (done.has(id) && existsSync(checkpoints))
    found.push({ kind: 'checkpoints', path: checkpoints });
  // What training left on its way, with what a search went by in rungs/*.json beside it.
  if (done.has(id))
    for (const name of await listFolders(join(folder, 'rungs')))
      found.push({ kind: 'checkpoints', path: join(folder, 'rungs', name) });
  if (open.has(id)) return found;
  for (const name of readdirSync(folder))
    if (/^predictions\..+\.safetensors$/.test(name))
      found.push({ kind: 'predictions', path: join(folder, name) });
  return found;
}

function listLeftovers(folder: string): Found[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((entry): Found[] => {
    const path = join(folder, entry.name);
    if (LEFTOVER.test(entry.name)) return [{ kind: 'leftovers', path }];
    return entry.isDirectory() ? listLeftovers(path) : [];
  });
}

export const sumBytes = (items: readonly Removable[]): number =>
  items.reduce((sum, { bytes }) => sum + bytes, 0);

/** Those that were last changed before a time, with their sizes. */
export function measureAll(found: readonly Found[], before: number): Removable[] {
  return found.flatMap(({ kind, path }) => {
    const { bytes, changed } = measure(path);
    return changed <= before ? [{ kind, path, bytes }] : [];
  });
}

/** Bytes of a file or of all files in a folder, and when the newest of them changed. */
function measure(path: string): { bytes: number; changed: number } {
  // Somebody else may remove it meanwhile.
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { bytes: 0, changed: Infinity };
  if (!stats.isDirectory()) return { bytes: stats.size, changed: stats.mtimeMs };
  const parts = readdirSync(path).map((name) => measure(join(path, name)));
  return {
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    changed: Math.max(stats.mtimeMs, ...parts.map(({ changed }) => changed)),
  };
}
