/** How much of a sweep is done already under an artifact root, and how long the rest takes. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mapBounded } from '../base/bounded';
import { groupBy } from '../base/group-by';
import { readResults } from '../store/sweep-results';
import { readDoneResult } from '../store/sweep-store';
import { sum } from '../sweep/budget';
import { expectTrained } from '../sweep/rungs';
import { listOpenChoices, listSearchTrials } from '../sweep/search';
import { countTrainedRows } from '../sweep/trained-rows';
import type { Plan, TrialResult } from '../sweep/types';

export interface Remaining {
  done: number;
  failed: number;
  /** Early, by a search. */
  stopped: number;
  /**
   * To be run by `start`: neither done nor failed nor stopped early. A choice to be made adds a
   * candidate's.
   */
  left: number;
  /**
   * Of training, at the speed of finished trials of the same task and backbone under this root;
   * null if some task has none.
   */
  seconds: number | null;
  /** What of it is a search's; absent without one. */
  search?: Pick<Remaining, 'left' | 'seconds'>;
}

/** A trial to be run, and the rows that it trains on, epoch after epoch. */
interface Left {
  id: string;
  task: string;
  rows: number;
}

/** Reads only, and takes a root that does not exist for an empty one. */
export async function countRemaining(plan: Plan, root: string): Promise<Remaining> {
  const results = await readResults(root, plan);
  const ended = new Map(results.map((result) => [result.trial_id, result.status]));
  const count = (status: TrialResult['status']) =>
    results.filter((result) => result.status === status).length;
  const expected = expectRungs(plan);
  const left = [
    ...plan.trials
      .filter(({ id }) => !['done', 'failed', 'stopped'].includes(ended.get(id) ?? ''))
      .map((trial): Left => {
        const rows = (expected.get(trial.id) ?? 1) * countTrainedRows(trial);
        return { id: trial.id, task: trial.task, rows };
      }),
    ...listToChoose(plan),
  ];
  const tasks = new Set(left.map(({ task }) => task));
  const speeds = collectSpeeds(results, plan);
  if ([...tasks].some((task) => !speeds.has(task))) {
    for (const [task, speed] of collectSpeeds(await readAllDone(root), plan)) {
      if (!speeds.has(task)) speeds.set(task, speed);
    }
  }
  const searched = new Set(listSearchTrials(plan));
  const ofSearch = left.filter(({ id }) => searched.has(id));
  return {
    ...{ done: count('done'), failed: count('failed'), stopped: count('stopped') },
    ...estimate(left, speeds),
    ...(plan.search && { search: estimate(ofSearch, speeds) }),
  };
}

function estimate(left: readonly Left[], speeds: ReadonlyMap<string, number>) {
  let seconds: number | null = 0;
  for (const { task, rows } of left) {
    const speed = speeds.get(task);
    seconds = seconds === null || speed === undefined ? null : seconds + rows / speed;
  }
  return { left: left.length, seconds };
}

/** Of each choice to be made, the trials of one candidate, as long as those of all on average. */
function listToChoose(plan: Plan): Left[] {
  return listOpenChoices(plan).flatMap(({ candidates }) =>
    candidates[0]!.confirm.map(({ id, task }, i): Left => {
      const rows = candidates.map(({ confirm }) => countTrainedRows(confirm[i]!));
      return { id, task, rows: sum(rows) / rows.length };
    }),
  );
}

/** The part of their training that trials of a search are expected to have, by id. */
function expectRungs(plan: Plan): Map<string, number> {
  const parts = new Map<string, number>();
  const { stop_early: stopEarly, choices = [] } = plan.search ?? {};
  if (stopEarly === undefined) return parts;
  const byId = new Map(plan.trials.map((trial) => [trial.id, trial]));
  for (const { candidates } of choices)
    for (const id of candidates.flatMap(({ trials }) => trials))
      parts.set(id, expectTrained(stopEarly, candidates.length, byId.get(id)!));
  return parts;
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
