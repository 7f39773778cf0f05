/** How much of a sweep is done already under an artifact root, and how long the rest takes. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mapBounded } from '../base/bounded';
import { groupBy } from '../base/group-by';
import { readResults } from '../store/sweep-results';
import { readDoneResult } from '../store/sweep-store';
import type { Plan, TrialResult } from '../sweep/types';

export interface Remaining {
  done: number;
  failed: number;
  /** To be run by `start`: neither done nor failed. */
  left: number;
  /**
   * Of training, at the speed of finished trials of the same task and backbone under this root;
   * null if some task has none.
   */
  seconds: number | null;
}

/** Reads only, and takes a root that does not exist for an empty one. */
export async function countRemaining(plan: Plan, root: string): Promise<Remaining> {
  const results = await readResults(root, plan);
  const ended = new Map(results.map((result) => [result.trial_id, result.status]));
  const count = (status: TrialResult['status']) =>
    results.filter((result) => result.status === status).length;
  const left = plan.trials.filter(({ id }) => !['done', 'failed'].includes(ended.get(id) ?? ''));
  const tasks = new Set(left.map(({ task }) => task));
  const speeds = collectSpeeds(results, plan);
  if ([...tasks].some((task) => !speeds.has(task))) {
    for (const [task, speed] of collectSpeeds(await readAllDone(root), plan)) {
      if (!speeds.has(task)) speeds.set(task, speed);
    }
  }
  let seconds: number | null = 0;
  for (const { task, train } of left) {
    const speed = speeds.get(task);
    seconds =
      seconds === null || speed === undefined
        ? null
        : seconds + (train.total_steps * train.batch_size) / speed;
  }
  return { done: count('done'), failed: count('failed'), left: left.length, seconds };
}

/** Rows per second by task: the median, because some trials shared the machine with other work. */
function collectSpeeds(results: readonly TrialResult[], { backbone }: Plan): Map<string, number> {
  const measured = results
    .filter(({ status }) => status === 'done')
    .filter(({ provenance }) => provenance.backbone_digest === backbone.digest)
    // Trials of one cohort share the machine: their rows add up.
    .map(({ task, train }) => ({ task, speed: train.rows_per_s * train.cohort }))
    .filter(({ speed }) => speed > 0);
  return new Map(
    [...groupBy(measured, ({ task }) => task)].map(([task, same]) => [
      task,
      median(same.map(({ speed }) => speed)),
    ]),
  );
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function readAllDone(root: string): Promise<TrialResult[]> {
  const names = await readdir(join(root, 'trials')).catch((): string[] => []);
  const ids = names.filter((name) => /^t[0-9a-f]{16}$/.test(name));
  const results = await mapBounded(ids, (id) => readDoneResult(root, id));
  return results.filter((result) => result !== null);
}
