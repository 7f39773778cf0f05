/** Looks, before a sweep is started, whether the disks have room for it. */
import { existsSync } from 'node:fs';
import { freeBytes, identifyDisk } from '../../common/disk-space';
import { UserError } from '../base/errors';
import { formatBytes } from '../base/format-bytes';
import { groupBy } from '../base/group-by';
import type { OnProgress } from '../base/progress';
import { datasetPath } from '../datasets/splits';
import { cacheDirectory } from '../runtime/paths';
import { pinnedEnvironment } from '../runtime/trainer-environment';
import { readResults } from '../store/sweep-results';
import { hasPlan } from '../store/plan-store';
import { listExpectedTrials } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { estimateRoom } from '../tasks/room';

/** The server's database, and logs. */
const STATE_BYTES = 30e6;
/** The Python environment that the first start makes, measured. */
const ENVIRONMENT_BYTES = { cpu: 1.5e9, default: 6e9 };

/** A folder, and how much will be written below it. */
export interface Need {
  folder: string;
  bytes: number;
  /** How to put it elsewhere. */
  elsewhere: string;
}

/**
 * The needs of a sweep; empty if all its results are there, or if it was started before: part of
 * what it needs is already written then, and for the rest its services wait.
 */
export async function listNeeds(
  plan: Plan,
  root: string,
  stateDir: string,
  makesEnvironment: boolean,
): Promise<Need[]> {
  if (hasPlan(root, plan.sweep_id)) return [];
  const done = new Set((await readResults(root, plan)).map(({ trial_id }) => trial_id));
  const trials = listExpectedTrials(plan);
  const pending = new Set(trials.map(({ id }) => id).filter((id) => !done.has(id)));
  if (pending.size === 0) return [];
  const prepared = plan.datasets.map(({ digest }) => digest);
  const there = new Set(prepared.filter((digest) => existsSync(datasetPath(root, digest))));
  const bytes = estimateRoom({ ...plan, trials }, pending, there);
  const environment = makesEnvironment ? pinnedEnvironment() : undefined;
  return [
    { folder: root, bytes, elsewhere: '--root' },
    { folder: stateDir, bytes: STATE_BYTES, elsewhere: '--state-dir' },
    ...(environment && !environment.isMade
      ? [
          {
            folder: cacheDirectory(),
            bytes: ENVIRONMENT_BYTES[environment.build],
            elsewhere: 'SA_ORCH_CACHE',
          },
        ]
      : []),
  ];
}

/**
 * Says in a line how much room is needed and there is.
 *
 * @throws UserError (exit 2) if a disk has too little
 */
export function checkRoom(
  needs: readonly Need[],
  onProgress: OnProgress,
  findFree: (folder: string) => number = freeBytes,
): void {
  for (const sharing of groupBy(needs, ({ folder }) => identifyDisk(folder)).values()) {
    const bytes = sharing.reduce((total, need) => total + need.bytes, 0);
    const free = findFree(sharing[0]!.folder);
    const folders = sharing.map(({ folder }) => folder).join(', ');
    const size =
      `about ${formatBytes(bytes)} needed, ${formatBytes(free)} free on the disk of ` + folders;
    if (bytes > free) {
      const options = sharing.map(({ elsewhere }) => elsewhere).join(', ');
      throw new UserError(
        `too little room for this sweep: ${size}`,
        2,
        `Free some space, use a larger disk (${options}), or plan fewer trials.`,
      );
    }
    onProgress('✓', 'room', size);
  }
}
