/**
 * The files of sweeps and trials under the artifact root. Plans and configurations are read and
 * written by plan-store.ts, all results of a sweep by sweep-results.ts.
 *
 *   sweeps/<sweep id>/plan.json, progress/<cohort>.json, outcomes/<trial id>.json,
 *                     jobs/ (job-history.ts)
 *   trials/<trial id>/config.json, stages/<prune|train|predict>.json, metrics.jsonl, result.json;
 *                     for questions answers.<split>.json; of a search that stops early
 *                     rungs/step<N>.json and stages/<train|predict>.step<N>.json
 *
 * A trial has one of each, in however many sweeps it is, and a result only once it is done: that
 * counts for every sweep. That it failed, was cancelled or was stopped early is an outcome, which
 * counts only for the sweep in which it happened. Each file is whole or absent, so an activity that
 * runs twice changes nothing.
 */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nameFile } from '../base/name-file';
import type { TrainerEnvironment, TrialResult } from '../sweep/types';
import { readJson } from './read-files';
import { writeDurably, writeJsonDurably } from '../../common/durable-files';

/** What a trainer's job reported about one trial in a stage. */
export interface StageRecord {
  /** Numbers by name, as in TrialResult.values of event.proto. */
  values: Record<string, number>;
  /** `code: message`, in order of arrival. */
  warnings: string[];
  /** What did it, in order. Empty: unknown. */
  environments: TrainerEnvironment[];
  /** How many trials the job ran together. */
  cohort: number;
  /**
   * Hex SHA-256 of the files that the trainer reported, by their names under the root. Absent in
   * records of earlier versions.
   */
  artifacts?: Record<string, string>;
}

/** The progress of a cohort, or of a part of it on one of several trainers, for people. */
export interface CohortProgress {
  cohort: string;
  /** Which part: 0, also if left out, 1, … A later part takes the number of one that has ended. */
  part?: number;
  /** The part's trials; all of the cohort's if left out. */
  trials?: string[];
  /** Its trainer's name; left out by cohorts of earlier versions. */
  trainer?: string;
  /**
   * `prune`, `train` or `predict`: what the cohort is doing or did last; `evaluate` once its
   * results are written.
   */
  work: string;
  /** Until, or at, this step of each trial; left out if it is as far as the cohort takes them. */
  step?: number;
  /**
   * The job's state (`queued`, `running`, …), or `unreachable` while the trainer does not answer.
   */
  state: string;
  done: number;
  total: number;
  rows_per_s: number;
  /** Newest loss of each trial that reported one. */
  losses: Record<string, number>;
  /** Why it waits, for people to read. */
  note: string | null;
  /** Milliseconds since the epoch. */
  updated: number;
}

export const sweepDir = (root: string, sweepId: string) =>
  join(root, 'sweeps', nameFile('sweepId', sweepId));
export const trialDir = (root: string, trialId: string) =>
  join(root, 'trials', nameFile('trialId', trialId));

/**
 * The file of a finished trial's masks. One that was pruned while it trained has its last ones
 * beside its adapter; those that it began with are all ones.
 */
export function findMasks(root: string, trialId: string): string {
  const duringTraining = join(trialDir(root, trialId), 'adapter', 'masks.safetensors');
  if (existsSync(duringTraining)) return duringTraining;
  return join(trialDir(root, trialId), 'masks.safetensors');
}

export const planPath = (root: string, sweepId: string) =>
  join(sweepDir(root, sweepId), 'plan.json');

/** Ids of all sweeps that have a plan, in alphabetical order. */
export async function listSweeps(root: string): Promise<string[]> {
  const names = await readdir(join(root, 'sweeps')).catch(() => []);
  return names.filter((name) => existsSync(join(root, 'sweeps', name, 'plan.json'))).sort();
}

/** Writes a result where it belongs: to the trial if it is done, else to the sweep. */
export function writeResult(root: string, sweepId: string, result: TrialResult): Promise<void> {
  const path =
    result.status === 'done'
      ? resultPath(root, result.trial_id)
      : outcomePath(root, sweepId, result.trial_id);
  return writeJsonDurably(path, result);
}

const resultPath = (root: string, trialId: string) => join(trialDir(root, trialId), 'result.json');
export const outcomesDir = (root: string, sweepId: string) =>
  join(sweepDir(root, sweepId), 'outcomes');
export const outcomePath = (root: string, sweepId: string, trialId: string) =>
  join(outcomesDir(root, sweepId), `${nameFile('trialId', trialId)}.json`);

/**
 * The result of a finished trial; null for every other. Earlier versions wrote failures and
 * cancellations of some sweep here, too. Those do not count, so the trial runs again.
 */
export async function readDoneResult(root: string, trialId: string): Promise<TrialResult | null> {
  const result = await readJson<TrialResult>(resultPath(root, trialId));
  return result?.status === 'done' ? result : null;
}

/** What a trial came to, as this sweep sees it; null if it is yet to run. */
export async function readResult(
  root: string,
  sweepId: string,
  trialId: string,
): Promise<TrialResult | null> {
  return (await readDoneResult(root, trialId)) ?? readJson(outcomePath(root, sweepId, trialId));
}

/**
 * Removes a failure or cancellation, so that the trial counts as not run in this sweep. What it
 * trained stays and is not retrained.
 */
export function removeOutcome(root: string, sweepId: string, trialId: string): Promise<void> {
  return rm(outcomePath(root, sweepId, trialId), { force: true });
}

/** Writes a file next to a trial's predictions, for example answers by question id. */
export function writeTrialJson(
  root: string,
  trialId: string,
  name: string,
  values: Record<string, unknown>,
): Promise<void> {
  return writeJsonDurably(join(trialDir(root, trialId), name), values);
}

/** Writes such a file with one value per line, for example summaries by row. */
export function writeTrialLines(
  root: string,
  trialId: string,
  name: string,
  values: readonly object[],
): Promise<void> {
  return writeDurably(
    join(trialDir(root, trialId), name),
    values.map((value) => `${JSON.stringify(value)}\n`).join(''),
  );
}

/** `train.json`; `train.step80.json` for the stage as far as this step. */
const stagePath = (root: string, trialId: string, work: string, step?: number) =>
  join(
    trialDir(root, trialId),
    'stages',
    `${nameFile('work', work)}${step === undefined ? '' : `.step${step}`}.json`,
  );

/** @param step where the stage ended in the middle of the trial's training */
export function writeStage(
  root: string,
  trialId: string,
  work: string,
  record: StageRecord,
  step?: number,
): Promise<void> {
  return writeJsonDurably(stagePath(root, trialId, work, step), record);
}

export async function readStage(
  root: string,
  trialId: string,
  work: string,
  step?: number,
): Promise<StageRecord | null> {
  const record = await readJson<StageRecord>(stagePath(root, trialId, work, step));
  // Earlier versions recorded the trainer that was watched, which may have been another one.
  return record && { ...record, environments: record.environments ?? [] };
}

export function writeMetrics(root: string, trialId: string, lines: string[]): Promise<void> {
  return writeDurably(
    join(trialDir(root, trialId), 'metrics.jsonl'),
    lines.map((line) => `${line}\n`).join(''),
  );
}

export const progressPath = (root: string, sweepId: string, cohort: string, part = 0) =>
  join(
    sweepDir(root, sweepId),
    'progress',
    `${nameFile('cohortId', cohort)}${part === 0 ? '' : `.${part + 1}`}.json`,
  );

export function writeProgress(
  root: string,
  sweepId: string,
  progress: CohortProgress,
): Promise<void> {
  return writeJsonDurably(progressPath(root, sweepId, progress.cohort, progress.part), progress);
}

/**
 * The parts that say what is so now. One that was given back leaves a file, while its trials go on
 * in others.
 */
export function selectCurrent(parts: readonly CohortProgress[]): CohortProgress[] {
  return parts.filter(({ trials, updated }) =>
    parts.every(
      (other) =>
        other.updated <= updated ||
        (other.trials ?? []).every((trial) => !(trials ?? [trial]).includes(trial)),
    ),
  );
}

/** Of each part of a cohort that is current, in order. */
export async function readProgress(
  root: string,
  sweepId: string,
  cohort: string,
): Promise<CohortProgress[]> {
  const found: CohortProgress[] = [];
  for (let part = 0; ; part++) {
    const progress = await readJson<CohortProgress>(progressPath(root, sweepId, cohort, part));
    if (progress === null) return selectCurrent(found);
    found.push(progress);
  }
}
