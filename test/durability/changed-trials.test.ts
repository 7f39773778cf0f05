/** Trials of a sweep that are cancelled and retried, and rungs that are lifted, as typed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brake } from '../support/brake';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(120_000);

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const SWEEP = `
name: changed
tasks: [sst2]
rows: 128
validation_rows: 32
seeds: [1]
adapter: {kind: head_only}
train: {steps: 20, batch_size: 16, learning_rate: [1.0e-5, 1.0e-2, 3.0e-2]}
search:
  over: [learning_rate]
  on: {hold_out: 0.25}
  seeds: [101]
  stop_early: {rungs: [0.5], keep: 0.34}
`;

const PLAIN = `
name: plain
tasks: [sst2]
rows: 128
validation_rows: 32
seeds: [1, 2]
adapter: {kind: head_only}
train: {steps: 10, batch_size: 16}
`;

describeTrainer('a sweep whose trials are changed', () => {
  let folder: string;
  let brake: Brake;
  let braked: TrainerPlace;
  let place: Workplace;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-changed-'));
    brake = new Brake(join(folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
    braked = new TrainerPlace();
    await braked.start([], 'toy', brake);
    place = new Workplace(join(folder, 'here'), OFFLINE, braked.root);
  });
  afterEach(async () => {
    await place.down();
    await braked.remove();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  const type = (...words: string[]) => place.run([...words, '--trainer', braked.address]);

  test('goes on without a trial until it is retried, and lifts its rungs', async () => {
    writeFileSync(join(place.folder, 'changed.yaml'), SWEEP);
    brake.hold();
    const started = type('start', '--sweep', './changed.yaml');
    await place.moves('train');
    const { id } = place.readPlan().trials[0]!;
    const cancelled = await place.run(['cancel', id.slice(0, 10)]);
    expect(cancelled.stdout).toContain(`${id} is being cancelled`);
    expect(cancelled.stdout).toContain('Its search makes no choice without it');
    brake.release();
    const { stdout, stderr } = await started;
    expect(stdout).toContain('1 cancelled, search 0 of 3 trials');
    expect(stderr).toContain('cancelled during its search');

    const retried = await type('retry', id);
    expect(retried).toMatchObject({ status: 0 });
    expect(retried.stdout).toContain('1 stopped early');
    const [choice] = place.readPlan().search!.choices;
    expect(choice!.went_on).toHaveLength(1);

    const lifted = await type('extend', place.sweepId(), '--rungs', 'off');
    expect(lifted.stdout).toContain('1 trial that stopped early to go on to the end');
    expect(lifted.stdout).toContain('4 of 4 trials');
    expect(place.readPlan().search).not.toHaveProperty('stop_early');
    const again = await type('extend', place.sweepId(), '--rungs', 'off');
    expect(again.stdout).toContain('nothing changes');
    const same = await type('start', '--sweep', './changed.yaml');
    expect(same.stdout).toContain('extended since it was started, by rungs off');
    expect(same.stdout).toContain('all results already exist');
  });

  test('runs a trial again that was cancelled in a cohort which is still at work', async () => {
    writeFileSync(join(place.folder, 'plain.yaml'), PLAIN);
    brake.hold();
    const started = type('start', '--sweep', './plain.yaml');
    await place.moves('train');
    const { id } = place.readPlan().trials[0]!;
    const early = await type('retry', id, '--detach');
    expect(early).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('it is yet to run') as string,
    });
    await place.run(['cancel', id]);
    const retried = await type('retry', id, '--detach');
    expect(retried).toMatchObject({ status: 0, stderr: '' });
    brake.release();
    const { status, stdout } = await started;
    expect(stdout).toContain('2 of 2 trials done');
    expect(status).toBe(0);
  });
});
