/**
 * A trainer that shares no disk with the orchestrator: whatever is killed while files move or while
 * it trains, the table is that of a trainer on the same root.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from '../../orchestrator/runtime/run-command';
import { readMovedBytes } from '../../orchestrator/trainer-client/moved-bytes';
import { Brake } from '../support/brake';
import { GpuBox } from '../support/gpu-box';
import { artifactOnDisk } from '../support/jobs';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';
import { comparable } from './two-runs';

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const SWEEP = `
name: apart
tasks: [sst2]
rows: 64
validation_rows: 32
seeds: [1, 2]
adapter: {kind: head_only}
train: {steps: 40, batch_size: 16, learning_rate: [1.0e-6, 3.0e-3, 1.0e-2]}
search:
  over: [learning_rate]
  on: {hold_out: 0.5}
  seeds: [101]
  stop_early: {rungs: [0.5], keep: 0.5}
`;
const MEGABYTE = 1e6;

const describeWithOpenssl = findOnPath('openssl') ? describeTrainer : describe.skip;

describeWithOpenssl('a trainer with a root of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-apart-'));
  const python = process.env.SA_ORCH_TEST_PYTHON!;
  const brake = new Brake(join(folder, 'brake'), python);
  const box = new GpuBox(join(folder, 'box'), 'toy', brake);
  const beside = new TrainerPlace();
  let calm: Workplace;
  let apart: Workplace;

  beforeAll(async () => {
    await Promise.all([box.start(), beside.start([], 'toy')]);
    calm = new Workplace(join(folder, 'calm'), OFFLINE, beside.root);
    apart = new Workplace(join(folder, 'apart'), {
      ...OFFLINE,
      ...box.clientEnv,
      SA_ORCH_FETCH_SECONDS: '0.2',
    });
    for (const { folder: place } of [calm, apart]) writeFileSync(join(place, 'apart.yaml'), SWEEP);
  });
  afterAll(async () => {
    await Promise.all([calm.down(), apart.down()]);
    await Promise.all([box.kill(), beside.remove()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  const start = (address: string) => ['start', '--sweep', './apart.yaml', '--trainer', address];

  test('is killed as it receives, and trains, and is lost for good; so is the worker', async () => {
    brake.hold();
    expect((await apart.run(['up', '--trainer', box.address])).status).toBe(0);
    const worker = (await apart.services()).find(({ name }) => name === 'worker')!.pid!;
    const undisturbed = calm.run(start(beside.address));
    const started = apart.run(start(box.address));

    await soon(() => box.arriving() > 5 * MEGABYTE);
    await box.kill();
    const arrived = box.arriving();
    await box.start();
    await soon(() => box.arriving() > arrived + 5 * MEGABYTE);
    process.kill(worker, 'SIGKILL');
    const second = box.arriving();
    // Nothing of it comes again: the file only grows.
    let least = Infinity;
    await soon(() => {
      // Read once: the file may be in its place a moment later.
      const size = box.arriving();
      if (size > 0) least = Math.min(least, size);
      return existsSync(join(box.root, 'trials'));
    });
    expect(least).toBeGreaterThanOrEqual(second);

    await apart.moves('train');
    await box.kill();
    await box.start();
    await soon(() => listCheckpoints(apart).length > 0);
    await box.lose();
    await box.start();
    await apart.moves('train');
    brake.release();
    // What goes on after a rung goes on at a trainer that has never seen it.
    await soon(() => apart.readPlan().follows !== undefined);
    await box.lose();
    await box.start();

    expect((await undisturbed).status).toBe(0);
    const { status, stdout } = await started;
    expect(status).toBe(0);
    expect(stdout).toContain('search 2 of 3 trials and 1 stopped early, comparison 2 of 2');
    expect(comparable(apart)).toEqual(comparable(calm));
    expect(filesOfTrials(apart)).toEqual(filesOfTrials(calm));
    // Of the trial that was stopped, its rung's, and perhaps one before.
    expect(listCheckpoints(apart)).toContain('step-20');
    const { sent, received } = (await readMovedBytes(apart.root)).get(box.address)!;
    // The backbone has 91 MB, and was sent to two machines.
    expect(sent).toBeGreaterThan(150 * MEGABYTE);
    expect(received).toBeGreaterThan(MEGABYTE);
  });
});

/** What the root has of checkpoints. */
function listCheckpoints({ root }: Workplace): string[] {
  const trials = join(root, 'trials');
  return (existsSync(trials) ? readdirSync(trials) : []).flatMap((trial) => {
    const folder = join(trials, trial, 'checkpoints');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('step-')) : [];
  });
}

/** Everything that a trial leaves, by content: files of trainers by digest, series as they are. */
function filesOfTrials({ root }: Workplace) {
  return readdirSync(join(root, 'trials')).map((trial) => {
    const all = readdirSync(join(root, 'trials', trial));
    const predictions = all.filter((name) => name.startsWith('predictions.')).sort();
    // Candidates of the search have one at their rung; the one that was stopped has no other.
    const adapters = ['adapter', 'rungs/step-20/adapter'].filter((name) =>
      existsSync(join(root, 'trials', trial, name)),
    );
    return {
      artifacts: ['masks.safetensors', ...adapters, ...predictions].map((name) =>
        artifactOnDisk(root, `trials/${trial}/${name}`),
      ),
      metrics: readFileSync(join(root, 'trials', trial, 'metrics.jsonl'), 'utf8'),
      left: all.filter((name) => name.startsWith('.')),
    };
  });
}

const soon = (holds: () => boolean): Promise<void> => until(holds, 90);
