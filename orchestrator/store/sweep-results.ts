/**
 * A sweep's results and progress, read again and again at the cost of what is new: `watch` looks at
 * thousands of trials each second, and the worker at each report.
 *
 *   done       never change, so each is read once. A cohort's progress file changes after its
 *              results are written, so only trials of cohorts whose file has changed are looked for
 *   outcomes   are few, in a folder of the sweep's own, which changes with each of them
 */
import { readdir } from 'node:fs/promises';
import { mapBounded } from '../base/bounded';
import { evaluationsOf } from '../sweep/evaluations';
import type { Plan, TrialResult } from '../sweep/types';
import { stampFile } from './file-stamp';
import { readJson } from './read-files';
import { takeBest } from './rung-results';
import {
  outcomePath,
  outcomesDir,
  progressPath,
  readDoneResult,
  selectCurrent,
  type CohortProgress,
} from './sweep-store';

/** So few trials without a result are all looked for, whatever the progress files say. */
const FEW = 100;

/** Most of what a result holds, and the same in most of thousands of trials: held once. */
const SHARED = ['backbone', 'budget', 'warnings', 'provenance'] as const;

interface StampedProgress {
  stamp: string;
  progress: CohortProgress | null;
}

export class SweepResults {
  private plan: Plan | undefined;
  private done = new Map<string, TrialResult>();
  /** Where the plan reports the best: the same with their best evaluations. */
  private best = new Map<string, TrialResult>();
  private outcomes = new Map<string, { stamp: string | null; result: TrialResult }>();
  private outcomesStamp: string | null = null;
  private cohorts = new Map<string, Map<number, StampedProgress>>();
  private reading: Promise<void> = Promise.resolve();
  /** SHARED members of results, by their text. */
  private members = new Map<string, unknown>();

  constructor(private readonly root: string) {}

  /** Reads what is new. Calls may overlap: each sees at least what was there when it was made. */
  refresh(plan: Plan): Promise<void> {
    const next = this.reading.then(() => this.read(plan));
    this.reading = next.catch(() => undefined);
    return next;
  }

  /** By trial id, in the plan's order. */
  get results(): ReadonlyMap<string, TrialResult> {
    const found = new Map<string, TrialResult>();
    const reported =
      this.plan?.evaluate?.report === 'best' ? this.chooseBest(this.plan) : this.done;
    for (const { id } of this.plan?.trials ?? []) {
      const result = reported.get(id) ?? this.outcomes.get(id)?.result;
      if (result) found.set(id, result);
    }
    return found;
  }

  /**
   * The best of finished trials. A best of more evaluations is higher: where some of a data set's
   * trials lack any, all have their last metrics, and say of how many the best would have been.
   */
  private chooseBest(plan: Plan): ReadonlyMap<string, TrialResult> {
    const stepsOf = evaluationsOf(plan);
    const lacking = new Set(
      plan.trials
        .filter((trial) => (this.best.get(trial.id)?.best_of ?? Infinity) <= stepsOf(trial).length)
        .map(({ dataset }) => dataset),
    );
    const taken = new Map(this.best);
    for (const { id, dataset } of plan.trials) {
      const best_of = taken.get(id)?.best_of;
      if (best_of !== undefined && lacking.has(dataset))
        taken.set(id, { ...this.done.get(id)!, best_of });
    }
    return taken;
  }

  /** By id, of the parts of cohorts that have begun and have trials without a result. */
  get progress(): ReadonlyMap<string, CohortProgress[]> {
    const found = new Map<string, CohortProgress[]>();
    for (const [id, parts] of this.cohorts)
      found.set(id, selectCurrent([...parts.values()].flatMap(({ progress }) => progress ?? [])));
    return found;
  }

  private async read(plan: Plan): Promise<void> {
    try {
      await this.readNew(plan);
    } catch (error) {
      // What was read before the error is not known to be all that is new.
      this.plan = undefined;
      throw error;
    }
  }

  private async readNew(plan: Plan): Promise<void> {
    const isFirst = this.plan !== plan;
    if (isFirst) {
      this.plan = plan;
      this.done = new Map();
      this.best = new Map();
      this.members = new Map();
      this.outcomes = new Map();
      this.outcomesStamp = null;
      this.cohorts = new Map();
    }
    await this.readOutcomes(plan);
    const changed = await this.readProgress(plan);
    const missing = plan.trials.filter(({ id }) => !this.done.has(id));
    const all = isFirst || missing.length <= FEW;
    await mapBounded(all ? missing : missing.filter(({ id }) => changed.has(id)), async (trial) => {
      const last = await readDoneResult(this.root, trial.id);
      if (last === null) return;
      const result = this.shareMembers(last);
      if (plan.evaluate?.report === 'best')
        this.best.set(trial.id, await takeBest(this.root, plan, trial, result));
      this.done.set(trial.id, result);
    });
  }

  /** Gives a result the large members of an equal one that was read before. */
  private shareMembers(result: TrialResult): TrialResult {
    const shared: Partial<Record<keyof TrialResult, unknown>> = {};
    for (const name of SHARED) {
      const text = JSON.stringify(result[name]);
      if (!this.members.has(text)) this.members.set(text, result[name]);
      shared[name] = this.members.get(text);
    }
    return Object.assign(result, shared);
  }

  private async readOutcomes({ sweep_id: sweepId, trials }: Plan): Promise<void> {
    const folder = outcomesDir(this.root, sweepId);
    const stamp = stampFile(folder);
    if (stamp === this.outcomesStamp) return;
    const names = stamp === null ? [] : await readdir(folder);
    const before = this.outcomes;
    this.outcomes = new Map();
    const listed = new Set(names);
    const ended = trials.filter(({ id }) => listed.has(`${id}.json`));
    await mapBounded(ended, async ({ id }) => {
      const path = outcomePath(this.root, sweepId, id);
      const now = stampFile(path);
      const known = before.get(id);
      const result =
        known && known.stamp === now ? known.result : await readJson<TrialResult>(path);
      if (result) this.outcomes.set(id, { stamp: now, result });
    });
    this.outcomesStamp = stamp;
  }

  /** Reads the progress of unfinished cohorts. Returns trials of those whose file has changed. */
  private async readProgress({ sweep_id: sweepId, cohorts }: Plan): Promise<Set<string>> {
    const changed = new Set<string>();
    await mapBounded(cohorts, async ({ id, trials }) => {
      if (trials.every((trial) => this.done.has(trial) || this.outcomes.has(trial))) {
        this.cohorts.delete(id);
        return;
      }
      const known = this.cohorts.get(id) ?? new Map<number, StampedProgress>();
      for (let part = 0; ; part++) {
        const path = progressPath(this.root, sweepId, id, part);
        const stamp = stampFile(path);
        if (stamp === null) break;
        if (stamp === known.get(part)?.stamp) continue;
        const progress = await readJson<CohortProgress>(path);
        // An earlier run may have had other trials under this cohort's id.
        const isOf = progress?.trials?.every((trial) => trials.includes(trial)) ?? true;
        known.set(part, { stamp, progress: isOf ? progress : null });
        this.cohorts.set(id, known);
        for (const trial of trials) changed.add(trial);
      }
    });
    return changed;
  }
}

/** The results that a sweep has, in the plan's order of trials. */
export async function readResults(root: string, plan: Plan): Promise<TrialResult[]> {
  const sweep = new SweepResults(root);
  await sweep.refresh(plan);
  return [...sweep.results.values()];
}
