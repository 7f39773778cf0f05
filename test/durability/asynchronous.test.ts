/** A search that is asynchronous, as typed: one trainer goes on while another one is slow. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brake } from '../support/brake';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';

jest.setTimeout(120_000);

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const SWEEP = `
name: early
tasks: [cola, sst2]
rows: 64
validation_rows: 32
seeds: [1]
adapter: {kind: head_only}
train: {steps: 32, batch_size: 8, learning_rate: [1.0e-4, 1.0e-3, 1.0e-2]}
search:
  over: [learning_rate]
  on: {hold_out: 0.25}
  seeds: [101]
  stop_early: {rungs: [0.25, 0.5], keep: 0.5, asynchronous: true}
`;

describeTrainer('an asynchronous search on two trainers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-early-'));
  const brake = new Brake(join(folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
  const slow = new TrainerPlace();
  const quick = new TrainerPlace(slow.root);
  let place: Workplace;

  beforeAll(async () => {
    await Promise.all([slow.start([], 'toy', brake), quick.start([], 'toy')]);
    place = new Workplace(join(folder, 'here'), OFFLINE, slow.root);
    writeFileSync(join(place.folder, 'early.yaml'), SWEEP);
  });
  afterAll(async () => {
    await place.down();
    await Promise.all([slow.remove(), quick.remove()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  test('makes one task’s choice while the other one’s first rung is still trained', async () => {
    brake.hold(3000);
    const trainers = [slow, quick].flatMap(({ address }) => ['--trainer', address]);
    const started = place.run(['start', '--sweep', './early.yaml', ...trainers]);
    await place.moves('train');
    const listChoices = () => place.readPlan().search!.choices;
    await until(() => listChoices().some(({ chosen }) => chosen !== undefined), 60);
    const [made, open] = listChoices().toSorted((a, b) => (a.chosen ?? 9) - (b.chosen ?? 9));
    expect(made!.went_on!.length).toBeGreaterThan(0);
    expect(open).not.toHaveProperty('went_on');
    brake.release();
    const { status, stdout } = await started;
    expect(stdout).toContain('comparison 2 of 2');
    expect(status).toBe(0);
    expect(listChoices().every(({ chosen }) => chosen !== undefined)).toBe(true);
  });
});
