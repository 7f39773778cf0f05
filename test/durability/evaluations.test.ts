/**
 * A sweep whose trials are evaluated on the way: killed between two evaluations and in one, it ends
 * with the digits of an undisturbed one, at each step.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifactOnDisk } from '../support/jobs';
import { describeTrainer, type TrainerProcess } from '../support/trainer-process';
import type { Workplace } from '../support/workplace';
import { CalmAndHit } from './calm-and-hit';
import { comparable } from './two-runs';

jest.setTimeout(120_000);

const SWEEP = `
name: evaluated
tasks: [cola]
rows: 64
validation_rows: 32
seeds: [1, 2]
adapter: {kind: head_only}
train: {epochs: 5, batch_size: 16, learning_rate: 3.0e-2}
evaluate: {every: epoch, report: best}
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

describeTrainer('a sweep that evaluates its trials on the way', () => {
  const places = new CalmAndHit();
  const { brake, beside, braked } = places;
  let trainer: TrainerProcess;
  let calm: Workplace;
  let hit: Workplace;

  beforeAll(async () => {
    trainer = await places.begin('evaluated.yaml', SWEEP);
    ({ calm, hit } = places);
  });
  afterAll(() => places.remove());

  test('has the same evaluations, and reports the best, whoever dies between them', async () => {
    const type = (place: Workplace, address: string) =>
      place.run(['start', '--sweep', './evaluated.yaml', '--trainer', address]);
    brake.hold();
    const undisturbed = type(calm, beside.address);
    const started = type(hit, braked.address);
    await hit.moves('train');
    await trainer.kill();
    await hit.killService('worker');
    trainer = await braked.start([], 'toy', brake);
    await hit.moves('predict');
    await trainer.kill();
    trainer = await braked.start([], 'toy', brake);
    brake.release();
    expect(await started).toMatchObject({ status: 0 });
    expect(await undisturbed).toMatchObject({ status: 0 });

    expect(comparable(hit)).toEqual(comparable(calm));
    const evaluations = readEvaluations(hit);
    expect(evaluations).toEqual(readEvaluations(calm));
    expect(
      Object.keys(evaluations)
        .map((key) => Number(key.split(' ')[1]))
        .sort(),
    ).toEqual([4, 8, 12, 16].flatMap((step) => [step, step]).sort());
    const csv = readFileSync(join(hit.root, 'sweeps', hit.sweepId(), 'results.csv'), 'utf8');
    expect(csv).toMatch(/,best_step,/);
    const html = readFileSync(join(hit.root, 'sweeps', hit.sweepId(), 'report.html'), 'utf8');
    expect(html).toContain('each trial by the best of its evaluations, one after every epoch');
  });
});
