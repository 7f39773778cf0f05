/**
 * A search whose processes are killed before its first rung, as it decides which values go on,
 * between two rungs and while what it chose is compared, where trials are evaluated on the way: it
 * decides what an undisturbed one decides, and ends with its digits at each step.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifactOnDisk } from '../support/jobs';
import { describeTrainer, type TrainerProcess } from '../support/trainer-process';
import { until } from '../support/until';
import type { Workplace } from '../support/workplace';
import { CalmAndHit } from './calm-and-hit';
import { comparable } from './two-runs';

jest.setTimeout(240_000);

const SWEEP = `
name: searched
tasks: [cola, sst2]
rows: 64
validation_rows: 32
seeds: [1, 2]
adapter: {kind: head_only}
train: {steps: 40, batch_size: 16, learning_rate: [1.0e-4, 1.0e-3, 3.0e-3, 1.0e-2]}
search:
  over: [learning_rate]
  on: {hold_out: 0.25}
  seeds: [101, 102]
  stop_early: {rungs: [0.25, 0.5], keep: 0.5}
evaluate: {every: 0.25, report: best}
`;

/** By trial and step: metrics, and the digest of what was predicted. */
function readEvaluations({ root }: Workplace): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const id of readdirSync(join(root, 'trials')))
    for (const name of readdirSync(join(root, 'trials', id, 'rungs'))) {
      const step = /^step(\d+)\.json$/.exec(name)?.[1];
      if (step === undefined) continue;
      const text = readFileSync(join(root, 'trials', id, 'rungs', name), 'utf8');
      const predictions = `trials/${id}/predictions.validation.step${step}.safetensors`;
      found[`${id} ${step}`] = [
        (JSON.parse(text) as { metrics: unknown }).metrics,
        artifactOnDisk(root, predictions).digest,
      ];
    }
  return found;
}

describeTrainer('a search whose processes are killed', () => {
  const places = new CalmAndHit();
  const { brake, beside, braked } = places;
  let trainer: TrainerProcess;
  let calm: Workplace;
  let hit: Workplace;

  beforeAll(async () => {
    trainer = await places.begin('searched.yaml', SWEEP);
    ({ calm, hit } = places);
  });
  afterAll(() => places.remove());

  test('chooses the same, and ends with the same digits', async () => {
    const type = (place: Workplace, address: string) =>
      place.run(['start', '--sweep', './searched.yaml', '--trainer', address]);
    brake.hold();
    const undisturbed = type(calm, beside.address);
    const started = type(hit, braked.address);
    await hit.moves('train');
    await trainer.kill();
    await hit.killService('worker');
    trainer = await braked.start([], 'toy', brake);
    await hit.moves('train');
    brake.release();
    // The worker that decides, or the server that is to remember it, is killed as it happens.
    const decided = (times: number) =>
      until(() => (hit.readPlan().follows ?? []).length >= times, 120);
    await decided(1);
    brake.hold();
    await hit.killService('worker');
    await hit.killService('temporal');
    await hit.moves('train');
    await trainer.kill();
    trainer = await braked.start([], 'toy', brake);
    brake.release();
    await decided(2);
    brake.hold();
    await hit.killService('worker');
    await hit.moves('train');
    brake.release();
    expect((await started).status).toBe(0);
    const again = await type(hit, braked.address);

    expect((await undisturbed).status).toBe(0);
    expect(again).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('comparison 4 of 4') as string,
    });
    expect(hit.readPlan().search).toEqual(calm.readPlan().search);
    expect(comparable(hit)).toEqual(comparable(calm));
    const evaluations = readEvaluations(hit);
    expect(evaluations).toEqual(readEvaluations(calm));
    const steps = Object.keys(evaluations).map((key) => Number(key.split(' ')[1]));
    // Of the four trials of the comparison; rungs of the search are at 10 and 20.
    expect(steps.filter((step) => step === 30)).toHaveLength(4);
    const report = (name: string) =>
      readFileSync(join(hit.root, 'sweeps', hit.sweepId(), name), 'utf8');
    expect(report('results.csv')).toMatch(/,best_step,/);
    expect(report('report.html')).toContain(
      'each trial by the best of its evaluations, one after every 25 % of training',
    );
  });
});
