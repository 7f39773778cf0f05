/** Everything that `sa-orch clean` may remove: under the root, of the trainer, of the cache. */
import { existsSync } from 'node:fs';
import { lockHolder, nameHolder } from '../../common/lock-file';
import { UserError } from '../base/errors';
import { findCacheUsers, listCaches } from '../runtime/caches';
import { readNeeds, type Needs } from '../store/needs';
import {
  findUnneeded,
  measureAll,
  sumBytes,
  type Kind,
  type Limits,
  type Removable,
} from '../store/unneeded';
import { findId } from './find-id';
import { listEndedJobs, lockOfJob } from './trainer-jobs';

/** What stays although it would be removed, and why. */
export interface Kept {
  kind: Kind;
  items: number;
  bytes: number;
  reason: string;
}

export interface Search {
  root: string;
  stateDir: string;
  /** Only what belongs to this sweep, by its id or the beginning of it. */
  sweep: string | undefined;
  /** Only what has not changed for so many milliseconds. */
  olderThan: number;
  /** Whether to look at the cache of the user, too. */
  caches: boolean;
}

/**
 * @throws ConfigError if a plan cannot be read; UserError if there is no such sweep (exit 2), or
 *   the cache is in use (exit 1)
 */
export async function findRemovable(search: Search): Promise<{ found: Removable[]; kept: Kept[] }> {
  const { root, stateDir, olderThan } = search;
  const now = Date.now();
  const needs = await readNeeds(root);
  const sweep =
    search.sweep === undefined
      ? null
      : findId(
          search.sweep,
          [...needs.sweeps.keys()],
          'sweep here',
          '`sa-orch status` lists them.',
        );
  const limits = { sweep, before: now - olderThan };
  const found = existsSync(root) ? await findUnneeded(root, needs, limits, now) : [];
  const kept: Kept[] = [];
  for (const { items, reason } of [
    ...(await findJobs(stateDir, needs, limits)),
    ...(search.caches ? findCaches(needs, limits) : []),
  ]) {
    if (reason === null) found.push(...items);
    else if (items.length > 0)
      kept.push({ kind: items[0]!.kind, items: items.length, bytes: sumBytes(items), reason });
  }
  return { found, kept };
}

/** reason: why they stay; null if they may go. */
interface Group {
  items: Removable[];
  reason: string | null;
}

/** Those of all trainers of the state directory; of one that is running they stay. */
async function findJobs(stateDir: string, needs: Needs, limits: Limits): Promise<Group[]> {
  const ended = await listEndedJobs(stateDir, needs, limits.sweep);
  return [...new Set(ended.map(lockOfJob))].map((lock) => {
    const items = measureAll(
      ended
        .filter((path) => lockOfJob(path) === lock)
        .map((path) => ({ kind: 'jobs' as const, path })),
      limits.before,
    );
    const holder = lockHolder(lock);
    if (holder === undefined) return { items, reason: null };
    const reason =
      `the trainer is running (${nameHolder(holder)}). It forgets them itself, two weeks after ` +
      'their end or beyond 1 GB; to remove them now, stop it with `sa-orch down`';
    return { items, reason };
  });
}

function findCaches(needs: Needs, limits: Limits): Group[] {
  const [user] = findCacheUsers();
  if (user !== undefined) {
    throw new UserError(
      `--caches: process ${user.pid} uses them: ${user.command.slice(0, 80)}`,
      1,
      'Stop it, with `sa-orch down` in its directory if it is a service.',
    );
  }
  const items = measureAll(
    listCaches().map((path) => ({ kind: 'caches', path })),
    limits.before,
  );
  const isNeeded = ({ path }: Removable): boolean =>
    [...needs.backbones].some((backbone) => `${backbone}/`.startsWith(`${path}/`));
  return [
    { items: items.filter((item) => !isNeeded(item)), reason: null },
    { items: items.filter(isNeeded), reason: 'it has the backbone of an unfinished sweep' },
  ];
}
