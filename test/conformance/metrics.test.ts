/** What every trainer tells Prometheus. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { findFreePort } from '../support/free-port';
import { anyTrial, checkpointAt, events, job, PRUNE, run, submit, train } from '../support/jobs';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, refusedTrainer, TrainerPlace } from '../support/trainer-process';

describeTrainer('the metrics of a trainer', () => {
  const place = new TrainerPlace();
  let dataset: Dataset;
  let port: number;

  beforeAll(async () => {
    dataset = writeTinyDataset(place.root);
    port = await findFreePort();
  });
  afterAll(() => place.remove());

  /** Value by metric, with its labels. */
  async function scrape(): Promise<Map<string, number>> {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = (await response.text()).trimEnd().split('\n');
    for (const line of lines)
      expect(line).toMatch(
        /^# HELP [a-z_]+ .+$|^# TYPE [a-z_]+ (gauge|counter)$|^[a-z_]+(\{.+\})? [0-9.e+-]+$/,
      );
    const values = lines
      .filter((line) => !line.startsWith('#'))
      .map((line) => line.split(/ (?=\S+$)/));
    return new Map(values.map(([name, value]) => [name!, Number(value)]));
  }

  test('count the steps that were done, none twice when a job goes on', async () => {
    const { client } = await place.start(['--metrics-port', String(port)]);
    const trial = anyTrial('counted', { train: { totalSteps: 1_000_000 } });
    const steps = async () => (await scrape()).get('sa_orch_trainer_steps_total')!;
    await run(client, job(dataset, [trial], PRUNE));
    const idle = await scrape();
    expect(idle.get('sa_orch_trainer_jobs_total{state="succeeded"}')).toBe(1);
    expect(idle.get('sa_orch_trainer_slots')).toBe(1);
    expect(idle.get('sa_orch_trainer_slots_used')).toBe(0);
    expect(idle.get('sa_orch_trainer_steps_total')).toBe(0);
    expect(idle.get('process_resident_memory_bytes')).toBeGreaterThan(1e7);

    const spec = job(dataset, [trial], train());
    const id = await submit(client, spec);
    await events(client, id, checkpointAt(10));
    while ((await steps()) === 0) await sleep(50);
    const busy = await scrape();
    expect(busy.get('sa_orch_trainer_slots_used')).toBe(1);
    expect(busy.get('sa_orch_trainer_rows_per_second')).toBeGreaterThan(0);
    await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT);
    const found = await events(client, id);
    const reached = Math.max(
      ...found.map(({ kind }) => (kind?.$case === 'checkpointWritten' ? kind.value.step : 0)),
    );
    expect(await steps()).toBeLessThanOrEqual(reached);

    await client.submitJob(id, specDigest(spec), spec);
    const before = await steps();
    while ((await steps()) === before) await sleep(50);
    await client.cancelJob(id, CancelMode.CANCEL_MODE_ABORT);
    const all = await events(client, id);
    const newest = Math.max(
      ...all.flatMap(({ kind }) =>
        kind?.$case === 'progress' ? kind.value.trialSteps.map(({ step }) => step) : [],
      ),
    );
    expect(await steps()).toBeLessThanOrEqual(newest);
    const ended = await scrape();
    expect(ended.get('sa_orch_trainer_jobs_total{state="interrupted"}')).toBe(1);
    expect(ended.get('sa_orch_trainer_jobs_total{state="cancelled"}')).toBe(1);
    expect(ended.get('sa_orch_trainer_rows_per_second')).toBe(0);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  });

  test('are nowhere at a port that is none, which is said', async () => {
    const { status, stderr } = await refusedTrainer(place, ['--metrics-port', 'many']);
    expect(status).toBe(2);
    expect(stderr).toContain('many is not a port, or <host>:<port>');
  });
});
