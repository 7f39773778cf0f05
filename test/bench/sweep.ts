/**
 * A sweep of 16 trials against 16 processes of the careful loop, two at a time, on the same rows;
 * and what orchestration costs a trial.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { listSources, readRuntimeConfig } from '../../orchestrator/runtime/runtime-config';
import { connectTemporal } from '../../orchestrator/runtime/temporal-client';
import { packageRoot } from '../../common/package';
import { connectTrainer } from '../../orchestrator/trainer-client/client';
import { Workplace } from '../support/workplace';

const TRIALS = 16;
const STEPS = 25;
const VALIDATION_ROWS = 200;
const SWEEP = `
name: bench
tasks: [mrpc]
validation_rows: ${VALIDATION_ROWS}
seeds: [1, 2, 3, 4]
compare:
  - {pruner: none}
  - {pruner: rand, sparsity: 0.8}
  - {pruner: snip, sparsity: [0.4, 0.8]}
train: {steps: ${STEPS}, batch_size: 32, dropout: 0}
`;

export interface SweepTimes {
  trials: number;
  steps: number;
  /**
   * From the command to the table, services down at the start: server, worker and trainer start in
   * it.
   */
  sweep_wall_s: number;
  /** The same command's workflow, from its start to its end. */
  workflow_s: number;
  /** Time in which the trainer ran a job. */
  trainer_busy_s: number;
  /** What is left of the workflow, a trial. */
  orchestration_ms_a_trial: number;
  /** 16 processes of the careful loop, two at a time with one thread each. */
  processes_wall_s: number;
  /** processes_wall_s / sweep_wall_s. */
  ratio: number;
}

export async function sweepAgainstProcesses(python: string, backbone: string): Promise<SweepTimes> {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-bench-'));
  const place = new Workplace(join(folder, 'place'));
  try {
    writeFileSync(join(folder, 'bench.yaml'), SWEEP);
    const { status, seconds, stderr } = await place.run([
      'start',
      '--sweep',
      join(folder, 'bench.yaml'),
    ]);
    if (status !== 0) throw new Error(`the sweep ended with status ${status}: ${stderr}`);
    const workflow = await workflowSeconds(place);
    const busy = await busySeconds(place);
    await place.down();
    const processes = await processesSeconds(python, backbone);
    const round = (value: number) => Math.round(value * 10) / 10;
    return {
      trials: TRIALS,
      steps: STEPS,
      sweep_wall_s: round(seconds),
      workflow_s: round(workflow),
      trainer_busy_s: round(busy),
      orchestration_ms_a_trial: Math.round((1000 * (workflow - busy)) / TRIALS),
      processes_wall_s: round(processes),
      ratio: Math.round((100 * processes) / seconds) / 100,
    };
  } finally {
    await place.down();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function workflowSeconds(place: Workplace): Promise<number> {
  const client = await connectTemporal(place.stateDir);
  const [sweepId] = readdirSync(join(place.root, 'sweeps'));
  const { startTime, closeTime } = await client.workflow.getHandle(sweepId!).describe();
  await client.connection.close();
  return (closeTime!.getTime() - startTime.getTime()) / 1000;
}

/** The trainer has one slot: its jobs' running times add up without overlap. */
async function busySeconds(place: Workplace): Promise<number> {
  const trainer = connectTrainer(listSources(readRuntimeConfig(place.stateDir)!)[0]!.address);
  let total = 0;
  for (const { jobId } of await trainer.listJobs()) {
    let running = NaN;
    for await (const { payload } of trainer.watchJob(jobId)) {
      if (payload?.$case !== 'event' || payload.value.kind?.$case !== 'stateChanged') continue;
      const time = payload.value.time!.getTime() / 1000;
      if (payload.value.kind.value.state === JobState.JOB_STATE_RUNNING) running = time;
      else if (!Number.isNaN(running)) total += time - running;
    }
  }
  trainer.close();
  return total;
}

async function processesSeconds(python: string, backbone: string): Promise<number> {
  const script = join(packageRoot(), 'trainer/torch/bench/careful_process.py');
  const args = [
    script,
    backbone,
    '--steps',
    `${STEPS}`,
    '--threads',
    '1',
    '--validation-rows',
    `${VALIDATION_ROWS}`,
  ];
  const started = Date.now();
  let left = TRIALS;
  const lane = async () => {
    while (left-- > 0) await promisify(execFile)(python, args);
  };
  await Promise.all([lane(), lane()]);
  return (Date.now() - started) / 1000;
}
