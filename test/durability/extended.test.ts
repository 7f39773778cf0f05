/**
 * A sweep with a search that is extended while it runs: worker and server are killed after it was
 * told so and before it could do anything about it. It ends with the digits of a sweep that was
 * extended once it had ended, undisturbed.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeTrainer } from '../support/trainer-process';
import { until } from '../support/until';
import type { Workplace } from '../support/workplace';
import { CalmAndHit } from './calm-and-hit';
import { comparable } from './two-runs';

jest.setTimeout(240_000);

const SWEEP = `
name: grown
tasks: [cola]
rows: 64
validation_rows: 32
seeds: [1, 2]
adapter: {kind: head_only}
train: {steps: 20, batch_size: 16, learning_rate: [1.0e-3, 1.0e-2]}
search: {over: [learning_rate], on: {hold_out: 0.25}, seeds: [101]}
`;
const MORE = ['--seeds', '3', '--compare', '{ pruner: none, train: { batch_size: 8 } }'];

describeTrainer('a sweep that is extended', () => {
  const places = new CalmAndHit();
  const { brake, beside, braked } = places;
  let calm: Workplace;
  let hit: Workplace;

  beforeAll(async () => {
    await places.begin('grown.yaml', SWEEP);
    ({ calm, hit } = places);
  });
  afterAll(() => places.remove());

  const start = (place: Workplace, address: string) =>
    place.run(['start', '--sweep', './grown.yaml', '--trainer', address]);
  const extend = (place: Workplace, address: string, ...more: string[]) =>
    place.run(['extend', place.sweepId().slice(0, 10), ...MORE, '--trainer', address, ...more]);

  test('does so once, whatever is killed meanwhile', async () => {
    brake.hold();
    const started = start(hit, braked.address);
    const moves = hit.moves('train');
    const first = await start(calm, beside.address);
    const grown = await extend(calm, beside.address);
    expect([first.status, grown.status]).toEqual([0, 0]);
    expect(grown.stdout).toContain('10 of 10 trials');

    // A folder where a new trial's configuration belongs, so that the plan cannot be written.
    const [, added] = calm.readPlan().search!.choices;
    const obstacle = join(hit.root, 'trials', added!.candidates[0]!.trials[0]!, 'config.json');
    await moves;
    mkdirSync(obstacle, { recursive: true });
    const asked = await extend(hit, braked.address, '--detach');
    expect(asked).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('6 new trials') as string,
    });
    expect(hit.readPlan().extended).toBeUndefined();
    await Promise.all([hit.killService('worker'), hit.killService('temporal')]);
    rmSync(obstacle, { recursive: true });
    await until(() => hit.readPlan().extended !== undefined, 60);
    await hit.killService('worker');
    brake.release();

    expect((await started).status).toBe(0);
    const again = await extend(hit, braked.address);
    expect(again.stdout).toContain('has all of that already: nothing changes');
    const anew = await start(hit, braked.address);
    expect(anew.stdout).toContain('extended since it was started');
    expect(anew.stdout).toContain('10 of 10 trials');
    expect(comparable(hit)).toEqual(comparable(calm));
  });
});
