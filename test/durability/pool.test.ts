/**
 * A pool of trainers without a shared disk: one goes for good, one is restarted, one comes late.
 * The table is that of one trainer on the same root.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOnPath } from '../../orchestrator/runtime/run-command';
import { Brake } from '../support/brake';
import { GpuBox } from '../support/gpu-box';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';
import { comparable } from './two-runs';

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const SWEEP = `
name: pooled
tasks: [cola]
rows: 64
validation_rows: 32
seeds: [${Array.from({ length: 40 }, (_, i) => i + 1).join(', ')}]
adapter: {kind: head_only}
train: {steps: 20, batch_size: 16}
`;
const GRACE_SECONDS = 4;

const describeWithOpenssl = findOnPath('openssl') ? describeTrainer : describe.skip;

describeWithOpenssl('a sweep of 40 trials on four trainers with roots of their own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-pool-'));
  const brake = new Brake(join(folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
  const first = new GpuBox(join(folder, 'lost'), 'toy', brake);
  const [lost, restarted, calmBox, late] = [
    first,
    ...['restarted', 'calm-box', 'late'].map(
      (name) => new GpuBox(join(folder, name), 'toy', brake, first),
    ),
  ] as [GpuBox, GpuBox, GpuBox, GpuBox];
  const beside = new TrainerPlace();
  let calm: Workplace;
  let pooled: Workplace;

  beforeAll(async () => {
    const boxes = [lost, restarted, calmBox].map((box) => box.start());
    await Promise.all([...boxes, beside.start([], 'toy')]);
    calm = new Workplace(join(folder, 'calm'), OFFLINE, beside.root);
    pooled = new Workplace(join(folder, 'pooled'), {
      ...OFFLINE,
      ...first.clientEnv,
      SA_ORCH_FETCH_SECONDS: '0.2',
      SA_ORCH_TRAINER_GRACE: String(GRACE_SECONDS),
    });
    for (const { folder: place } of [calm, pooled])
      writeFileSync(join(place, 'pooled.yaml'), SWEEP);
  });
  afterAll(async () => {
    await Promise.all([calm.down(), pooled.down()]);
    const boxes = [lost, restarted, calmBox, late].map((box) => box.kill());
    await Promise.all([...boxes, beside.remove()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  test('of which one goes for good, one is restarted and one comes late', async () => {
    brake.hold();
    const named = [lost, restarted, calmBox].flatMap(({ address }) => ['--trainer', address]);
    const undisturbed = calm.run([
      ...['start', '--sweep', './pooled.yaml', '--trainer', beside.address],
    ]);
    const started = pooled.run(['start', '--sweep', './pooled.yaml', ...named]);
    for (const box of [lost, restarted, calmBox]) await soon(() => listTrials(box).length > 0);
    await pooled.moves('train');

    await lost.kill();
    await restarted.kill();
    await restarted.start();
    await late.start();
    expect((await pooled.run(['up', '--trainer', late.address])).status).toBe(0);
    await soon(() => listTrials(late).length > 0);
    const { stdout: status } = await pooled.run(['status', '--json']);
    const { trainers } = JSON.parse(status) as {
      trainers: { address: string; pool: { state: string } | null }[];
    };
    const stateOf = (box: GpuBox) =>
      trainers.find(({ address }) => address === box.address)?.pool?.state;
    expect([lost, restarted, calmBox, late].map(stateOf)).toEqual([
      'away',
      ...['ready', 'ready', 'ready'],
    ]);
    await sleep(1000 * GRACE_SECONDS);
    brake.release();

    expect((await undisturbed).status).toBe(0);
    const { status: exit, stdout } = await started;
    expect(stdout).toContain('40 of 40 trials done');
    expect(exit).toBe(0);
    expect(comparable(pooled)).toEqual(comparable(calm));
    // The trials of the lost one ended elsewhere.
    const others = [restarted, calmBox, late].flatMap(listTrials);
    expect(listTrials(lost).filter((trial) => !others.includes(trial))).toEqual([]);
    expect(new Set(others).size).toBe(40);
  });
});

/** The trials that a trainer's root knows. */
function listTrials({ root }: GpuBox): string[] {
  const trials = join(root, 'trials');
  return existsSync(trials) ? readdirSync(trials) : [];
}

const soon = (holds: () => boolean): Promise<void> => until(holds, 120);
