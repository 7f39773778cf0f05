/**
 * A sweep of 5,000 trials on one toy trainer or several, which compute almost nothing: how many
 * trials a second pass, which processes they cost how much, the memory of the worker meanwhile, and
 * what `watch` costs a poll. Takes minutes.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { SweepReader, workflowState } from '../../orchestrator/cli/follow';
import { renderSnapshot } from '../../orchestrator/cli/live-view';
import { connectTemporal } from '../../orchestrator/runtime/temporal-client';
import { readJobHistories } from '../../orchestrator/store/job-history';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';
import { listChildren, readCpuMs, readResidentMb } from './processes';

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
  /** CPU time a trial: of the worker, of the Temporal server, and of all trainers. */
  cpu_ms_a_trial: { worker: number; server: number; trainers: number };
  /** Events in the histories of all workflows, a cohort. */
  events_a_cohort: number;
  /** Resident memory of the worker, at equal distances from the first result to the end. */
  worker_rss_mb: number[];
  /**
   * The median of its last quarter divided by that of its first quarter, without the first fifth of
   * the samples, in which code is compiled and caches fill.
   */
  worker_rss_growth: number;
  /** CPU time of a poll of `watch`, of which there is one each second. */
  watch_poll_cpu_ms: { first: number; median: number; p95: number; polls: number };
}

/**
 * @param backbone a folder with the tokenizer of all-MiniLM-L6-v2
 * @param cohort how many trials a trainer wants at once
 */
export async function manyTrials(
  backbone: string,
  { trainers = 1, trials = 5000, cohort = 10 } = {},
): Promise<ManyTrials> {
  process.env.SA_ORCH_TOY_COHORT = `${cohort}`;
  const trainer = new TrainerPlace();
  const others = Array.from({ length: trainers - 1 }, () => new TrainerPlace(trainer.root));
  const offline = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-many-'));
  const place = new Workplace(join(folder, 'place'), offline, trainer.root);
  try {
    const hosts: number[] = [];
    for (const each of [trainer, ...others]) hosts.push((await each.start([], 'toy')).pid);
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
    return { trainers, ...(await measure(place, hosts, trials)) };
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

/** Polls as `watch` does until the sweep has ended. hosts: the trainers' processes. */
async function measure(
  place: Workplace,
  hosts: number[],
  trials: number,
): Promise<Omit<ManyTrials, 'trainers'>> {
  const services = await place.services();
  const pidOf = (service: string) => services.find(({ name }) => name === service)!.pid!;
  const groups = {
    worker: [pidOf('worker')],
    server: [pidOf('temporal')],
    trainers: hosts.flatMap((host) => [host, ...listChildren(host)]),
  };
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
      if (done > 0) memory.push(readResidentMb(groups.worker[0]!));
      if (polls.length % 60 === 0) process.stderr.write(`  ${done} of ${trials} trials done\n`);
      if (state === 'finished' || state === 'failed') {
        if (done < trials) throw new Error(`${done} of ${trials} trials are done: ${state}`);
        const seconds = (Date.now() - began) / 1000;
        const cpu = (pids: number[]) =>
          round(pids.reduce((sum, pid) => sum + readCpuMs(pid), 0) / trials);
        const { worker, server, trainers } = groups;
        const { cohorts } = snapshot.plan;
        return {
          trials,
          cohorts: cohorts.length,
          trained_again: await countTrainedAgain(place),
          wall_s: Math.round(seconds),
          trials_a_second: round(trials / seconds),
          cpu_ms_a_trial: { worker: cpu(worker), server: cpu(server), trainers: cpu(trainers) },
          events_a_cohort: round((await countEvents(client)) / cohorts.length),
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

/** In the histories of all workflows, of which those that run are as long as they were listed. */
async function countEvents(client: Client): Promise<number> {
  let events = 0;
  for await (const { historyLength } of client.workflow.list()) events += historyLength;
  return events;
}

function summarizeMemory(memory: number[]) {
  const at = (i: number) => memory[Math.round((i * (memory.length - 1)) / (SAMPLES - 1))]!;
  const settled = memory.slice(Math.floor(memory.length / 5));
  const quarter = Math.ceil(settled.length / 4);
  const growth = median(settled.slice(-quarter)) / median(settled.slice(0, quarter));
  return {
    worker_rss_mb: Array.from({ length: SAMPLES }, (_, i) => at(i)),
    worker_rss_growth: Math.round(100 * growth) / 100,
  };
}

function summarizePolls([first, ...rest]: number[]) {
  return {
    first: Math.round(first!),
    median: round(median(rest)),
    p95: round(quantile(rest, 0.95)),
    polls: rest.length,
  };
}

const median = (values: number[]): number => quantile(values, 0.5);

function quantile(values: number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(q * values.length)]!;
}

const round = (value: number): number => Math.round(10 * value) / 10;
