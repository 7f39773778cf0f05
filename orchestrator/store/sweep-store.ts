/**
 * The files of sweeps and trials under the artifact root:
 *
 *   sweeps/<sweep id>/plan.json, progress/<cohort>.json
 *   trials/<trial id>/config.json, stages/<prune|train|predict>.json, metrics.jsonl, result.json;
 *                     for questions answers.<split>.json
 *
 * A trial has one of each, in however many sweeps it is. Each is whole or absent, so an activity
 * that runs twice changes nothing.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { nameFile } from '../base/name-file';
import type { Plan, TrialResult } from '../sweep/types';
import { writeDurably, writeJsonDurably } from '../../common/durable-files';
import { removeLeftovers } from '../../common/temporary-names';

/** What a trainer's job reported about one trial in a stage. */
export interface StageRecord {
  /** Numbers by name, as in TrialResult.values of event.proto. */
  values: Record<string, number>;
  /** `code: message`, in order of arrival. */
  warnings: string[];
  /** The trainer's environment. */
  environment: Record<string, string>;
  /** How many trials the job ran together. */
  cohort: number;
}

/** A cohort's progress, for people who watch. */
export interface CohortProgress {
  cohort: string;
  /** `prune`, `train` or `predict`: what the cohort is doing or did last. */
  work: string;
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

/** The digest by which a workflow recognizes its plan file. */
const planFileDigest = (text: string) => createHash('sha256').update(text).digest('hex');

/** Writes a plan and its trials' configurations, and returns the plan file's digest. */
export async function writePlan(root: string, plan: Plan): Promise<string> {
  const text = `${JSON.stringify(plan, null, 2)}\n`;
  const folder = sweepDir(root, plan.sweep_id);
  for (const each of [folder, join(folder, 'progress')]) removeLeftovers(each);
  await Promise.all(
    plan.trials.map((trial) =>
      writeJsonDurably(join(trialDir(root, trial.id), 'config.json'), trial),
    ),
  );
  await writeDurably(join(folder, 'plan.json'), text);
  return planFileDigest(text);
}

const plans = new Map<string, Plan>();

const PLAN_FORMAT: Plan['format'] = 3;

/**
 * Reads a plan. With a digest, refuses a file with another one, and reads each digest once per
 * process.
 *
 * @throws ConfigError if there is no plan, or it is of another version of this program
 */
export async function readPlan(root: string, sweepId: string, digest?: string): Promise<Plan> {
  const known = digest && plans.get(digest);
  if (known) return known;
  const path = join(sweepDir(root, sweepId), 'plan.json');
  const text = await readFile(path, 'utf8').catch(() => {
    throw new ConfigError({
      where: path,
      message: 'no such plan; `sa-orch status` lists the sweeps under this artifact root',
    });
  });
  if (digest && planFileDigest(text) !== digest) {
    throw new ConfigError({
      where: path,
      message: 'changed since the sweep was started; start the sweep again to run the changed plan',
    });
  }
  const plan = JSON.parse(text) as Plan;
  const format: number = plan.format;
  if (format !== PLAN_FORMAT) {
    const message =
      `has format ${format}, from another version of sa-orch; ` +
      `must be ${PLAN_FORMAT}: start the sweep again`;
    throw new ConfigError({ where: path, message });
  }
  if (digest) plans.set(digest, plan);
  return plan;
}

/** Ids of all sweeps that have a plan, in alphabetical order. */
export async function listSweeps(root: string): Promise<string[]> {
  const names = await readdir(join(root, 'sweeps')).catch(() => []);
  return names.sort();
}

export function writeResult(root: string, result: TrialResult): Promise<void> {
  return writeJsonDurably(join(trialDir(root, result.trial_id), 'result.json'), result);
}

export function readResult(root: string, trialId: string): Promise<TrialResult | null> {
  return readJson(join(trialDir(root, trialId), 'result.json'));
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

/**
 * Removes a result, so that the trial counts as not run. What it trained stays and is not
 * retrained.
 */
export function removeResult(root: string, trialId: string): Promise<void> {
  return rm(join(trialDir(root, trialId), 'result.json'), { force: true });
}

/** The results that exist, in the plan's order of trials. */
export async function readResults(root: string, plan: Plan): Promise<TrialResult[]> {
  const results = await Promise.all(plan.trials.map((trial) => readResult(root, trial.id)));
  return results.filter((result) => result !== null);
}

export function writeStage(
  root: string,
  trialId: string,
  work: string,
  record: StageRecord,
): Promise<void> {
  return writeJsonDurably(
    join(trialDir(root, trialId), 'stages', `${nameFile('work', work)}.json`),
    record,
  );
}

export function readStage(
  root: string,
  trialId: string,
  work: string,
): Promise<StageRecord | null> {
  return readJson(join(trialDir(root, trialId), 'stages', `${nameFile('work', work)}.json`));
}

export function writeMetrics(root: string, trialId: string, lines: string[]): Promise<void> {
  return writeDurably(
    join(trialDir(root, trialId), 'metrics.jsonl'),
    lines.map((line) => `${line}\n`).join(''),
  );
}

export function writeProgress(
  root: string,
  sweepId: string,
  progress: CohortProgress,
): Promise<void> {
  return writeJsonDurably(
    join(sweepDir(root, sweepId), 'progress', `${nameFile('cohortId', progress.cohort)}.json`),
    progress,
  );
}

export function readProgress(
  root: string,
  sweepId: string,
  cohort: string,
): Promise<CohortProgress | null> {
  return readJson(
    join(sweepDir(root, sweepId), 'progress', `${nameFile('cohortId', cohort)}.json`),
  );
}

/**
 * A file's JSON, or null if there is no such file. Files are written whole, so a broken one is an
 * error.
 */
async function readJson<T>(path: string): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return JSON.parse(text) as T;
}
