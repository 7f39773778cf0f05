/** What happened to a sweep's or a trial's jobs, as lines. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '../../common/files';
import { readJobHistories, type JobEvent, type JobHistory } from '../store/job-history';
import {
  listSweeps,
  readDoneResult,
  readResult,
  readStage,
  sweepDir,
  trialDir,
} from '../store/sweep-store';
import type { TrialResult } from '../sweep/types';
import type { Log } from './log';

/** The events of its cohorts; of trials only warnings and failures. */
export function readSweepLog(root: string, sweepId: string): Log {
  const read = async (): Promise<string[]> =>
    toLines(await readJobHistories(root, sweepId), ({ kind }) => kind !== 'result');
  return {
    about: { sweep_id: sweepId },
    heading: [sweepDir(root, sweepId)],
    read: onlyNew(read),
  };
}

/** The events of its jobs in every sweep, its newest loss, and its result. */
export function readTrialLog(root: string, trialId: string): Log {
  const read = async (): Promise<string[]> => {
    const histories: JobHistory[] = [];
    for (const sweepId of await listSweeps(root))
      for (const history of await readJobHistories(root, sweepId))
        if (history.trials.includes(trialId)) histories.push(history);
    const events = toLines(histories, ({ trial }) => trial === null || trial === trialId);
    const lines = events.length > 0 ? events : await describeStages(root, trialId);
    return [...lines, ...describeLoss(root, trialId), ...(await describeResult(root, trialId))];
  };
  return {
    about: { trial_id: trialId },
    heading: [trialDir(root, trialId)],
    read: onlyNew(read),
  };
}

/** Lines that an earlier call has returned are left out: a log only grows, but not at its end. */
function onlyNew(read: () => Promise<string[]>): () => Promise<string[]> {
  const known = new Set<string>();
  return async () => {
    const lines = (await read()).filter((line) => !known.has(line));
    for (const line of lines) known.add(line);
    return lines;
  };
}

/** In the order of time. A job whose log was read again under another id tells the same twice. */
function toLines(
  histories: readonly JobHistory[],
  isShown: (event: JobEvent) => boolean,
): string[] {
  const events = histories.flatMap((history) =>
    history.events.filter(isShown).map((event) => ({ history, event })),
  );
  // The order within a job stays: its log may have several events at one time.
  const inOrder = events.toSorted((a, b) => Date.parse(a.event.time) - Date.parse(b.event.time));
  return [...new Set(inOrder.map(({ history, event }) => toLine(history, event)))];
}

function toLine({ cohort, work, trials }: JobHistory, { time, trial, text }: JobEvent): string {
  const subject = trial ?? (trials.length === 1 ? trials[0]! : `${trials.length} trials`);
  return `${time.slice(0, 19)}Z ${cohort.padEnd(10)} ${work.padEnd(7)} ${subject}: ${text}`;
}

/** For trials of before there were histories. */
async function describeStages(root: string, trialId: string): Promise<string[]> {
  const lines: string[] = [];
  for (const work of ['prune', 'train', 'predict']) {
    const stage = await readStage(root, trialId, work);
    if (stage === null) continue;
    const numbers = Object.entries(stage.values).map(([name, value]) => `${name} ${value}`);
    lines.push(`${work}: ${numbers.join(', ') || 'done'}`);
    lines.push(...stage.warnings.map((warning) => `${work}: warning: ${warning}`));
  }
  return lines;
}

function describeLoss(root: string, trialId: string): string[] {
  const path = join(trialDir(root, trialId), 'metrics.jsonl');
  const metrics = (readIfThere(path) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { name: string; step: number; value: number | string });
  const last = metrics.filter(({ name }) => name === 'loss').at(-1);
  return last === undefined ? [] : [`loss ${last.value} at step ${last.step}; more in ${path}`];
}

/** A trial fails or is cancelled in one sweep; once it is done, it is so in all. */
async function describeResult(root: string, trialId: string): Promise<string[]> {
  const done = await readDoneResult(root, trialId);
  if (done !== null) return [summarize(root, done)];
  const lines: string[] = [];
  for (const sweepId of await listSweeps(root)) {
    const outcome = await readResult(root, sweepId, trialId);
    if (outcome !== null) lines.push(`in ${sweepId}: ${summarize(root, outcome)}`);
  }
  return lines.length > 0 ? lines : ['no result yet'];
}

function summarize(root: string, { trial_id, status, metrics, error }: TrialResult): string {
  const numbers = Object.entries(metrics).map(([name, value]) => `, ${name} ${value}`);
  const adapter = join(trialDir(root, trial_id), 'adapter');
  const where = existsSync(adapter) ? `; adapter in ${adapter}` : '';
  return `${status}${numbers.join('')}${error === null ? '' : `: ${error}`}${where}`;
}
