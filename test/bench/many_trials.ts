/**
 * A sweep of 5,000 trials on one toy trainer or several, which compute almost nothing: how many
 * trials a second pass, the memory of the worker meanwhile, and what `watch` costs a poll. Takes
 * minutes.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SweepReader, workflowState } from '../../orchestrator/cli/follow';
import { renderSnapshot } from '../../orchestrator/cli/live-view';
import { connectTemporal } from '../../orchestrator/runtime/temporal-client';
import { readJobHistories } from '../../orchestrator/store/job-history';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

const VOCABULARY = 30_522;
const SAMPLES = 12;
const POLL_MS = 1000;

export interface ManyTrials {
  trainers: number;
  trials: number;
  cohorts: number;
  /** Trials that were trained more than once. */
  trained_again: number;
  /** From the start of its workflow to its end. */
  wall_s: number;
  trials_a_second: number;
  /** CPU time of the worker, a trial. */
  worker_cpu_ms_a_trial: number;
  /** Resident memory of the worker, at equal distances from the first result to the end. */
  worker_rss_mb: number[];
  /** Its highest over the last half of the samples, divided by that over the first half. */
  worker_rss_growth: number;
  /** CPU time of a poll of `watch`, of which there is one each second. */
  watch_poll_cpu_ms: { first: number; median: number; p95: number; polls: number };
}

/** backbone: a folder with the tokenizer of all-MiniLM-L6-v2. */
export async function manyTrials(
  backbone: string,
  { trainers = 1, trials = 5000 } = {},
): Promise<ManyTrials> {
  const trainer = new TrainerPlace();
  const others = Array.from({ length: trainers - 1 }, () => new TrainerPlace(trainer.root));
  const offline = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-many-'));
  const place = new Workplace(join(folder, 'place'), offline, trainer.root);
  try {
    for (const each of [trainer, ...others]) await each.start([], 'toy');
    const tiny = join(folder, 'backbone');
    writeTinyBackbone(tiny, 'bert', VOCABULARY);
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      copyFileSync(join(backbone, name), join(tiny, name));
    const file = join(folder, 'many.yaml');
    writeFileSync(file, describeSweep(tiny, trials));
    const named = [trainer, ...others].flatMap(({ address }) => ['--trainer', address]);
    const start = ['start', '--sweep', file, ...named, '--detach'];
    const { status, stderr } = await place.run(start);
    if (status !== 0) throw new Error(`start ended with status ${status}: ${stderr}`);
    return { trainers, ...(await measure(place, trials)) };
  } finally {
    await place.down();
    for (const each of [...others, trainer]) await each.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function describeSweep(backbone: string, trials: number): string {
  return JSON.stringify({
    name: 'many',
    backbone,
    tasks: ['cola'],
    max_length: 64,
    rows: 8,
    validation_rows: 8,
    seeds: Array.from({ length: trials }, (_, i) => i + 1),
    compare: [{ pruner: 'none', adapter: { kind: 'head_only' } }],
    train: { steps: 1, batch_size: 8 },
  });
}

/** Polls as `watch` does until the sweep has ended. */
async function measure(place: Workplace, trials: number): Promise<Omit<ManyTrials, 'trainers'>> {
  const worker = (await place.services()).find(({ name }) => name === 'worker')!.pid!;
  const began = Date.now();
  const client = await connectTemporal(place.stateDir);
  try {
    const reader = new SweepReader(place.root, place.sweepId());
    const polls: number[] = [];
    const memory: number[] = [];
    for (;;) {
      const before = process.cpuUsage();
      const { state } = await workflowState(client, place.sweepId());
      const snapshot = await reader.read(state);
      renderSnapshot(snapshot, Date.now());
      const { user, system } = process.cpuUsage(before);
      polls.push((user + system) / 1000);
      const done = [...snapshot.results.values()].filter(({ status }) => status === 'done').length;
      if (done > 0) memory.push(readResidentMb(worker));
      if (polls.length % 60 === 0) process.stderr.write(`  ${done} of ${trials} trials done\n`);
      if (state === 'finished' || state === 'failed') {
        if (done < trials) throw new Error(`${done} of ${trials} trials are done: ${state}`);
        const seconds = (Date.now() - began) / 1000;
        return {
          trials,
          cohorts: snapshot.plan.cohorts.length,
          trained_again: await countTrainedAgain(place),
          wall_s: Math.round(seconds),
          trials_a_second: Math.round((10 * trials) / seconds) / 10,
          worker_cpu_ms_a_trial: Math.round(readCpuMs(worker) / trials),
          ...summarizeMemory(memory),
          watch_poll_cpu_ms: summarizePolls(polls),
        };
      }
      await sleep(POLL_MS);
    }
  } finally {
    await client.connection.close();
  }
}

/** By the histories of all jobs. */
async function countTrainedAgain(place: Workplace): Promise<number> {
  const jobs = await readJobHistories(place.root, place.sweepId());
  const trained = jobs.filter(({ work }) => work === 'train').flatMap(({ trials }) => trials);
  return trained.length - new Set(trained).size;
}

function summarizeMemory(memory: number[]) {
  const at = (i: number) => memory[Math.round((i * (memory.length - 1)) / (SAMPLES - 1))]!;
  const half = Math.floor(memory.length / 2);
  const growth = Math.max(...memory.slice(half)) / Math.max(...memory.slice(0, half));
  return {
    worker_rss_mb: Array.from({ length: SAMPLES }, (_, i) => at(i)),
    worker_rss_growth: Math.round(100 * growth) / 100,
  };
}

function summarizePolls([first, ...rest]: number[]) {
  const sorted = rest.toSorted((a, b) => a - b);
  const quantile = (q: number) => Math.round(10 * sorted[Math.floor(q * sorted.length)]!) / 10;
  return {
    first: Math.round(first!),
    median: quantile(0.5),
    p95: quantile(0.95),
    polls: rest.length,
  };
}

function readResidentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024);
}

/** Since the process began; the kernel counts in hundredths of a second. */
function readCpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
