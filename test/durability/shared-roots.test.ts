/** Several sweeps, trainers and versions on one artifact root: none ends another one's work. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTemporal } from '../../orchestrator/runtime/temporal-client';
import { writePlan } from '../../orchestrator/store/plan-store';
import type { Plan, TrialResult } from '../../orchestrator/sweep/types';
import type { sweep } from '../../workflows/sweep';
import { Brake } from '../support/brake';
import { describeTrainer, TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';

jest.setTimeout(240_000);

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
/** A toy answers within that, and the one that is gone for good is not waited for any longer. */
const GRACE = { SA_ORCH_TRAINER_GRACE: '8' };
const buildSweep = (name: string, seeds: string) => `
name: ${name}
tasks: [cola]
rows: 64
validation_rows: 32
seeds: ${seeds}
adapter: {kind: head_only}
train: {steps: 20, batch_size: 16}
`;

describeTrainer('sweeps on one artifact root', () => {
  let first: TrainerPlace;
  let second: TrainerPlace;
  let firstTrainer: TrainerProcess;
  let brake: Brake;
  let place: Workplace;

  beforeAll(async () => {
    first = new TrainerPlace();
    second = new TrainerPlace(first.root);
    brake = new Brake(join(first.folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
    firstTrainer = await first.start([], 'toy', brake);
    const environment = { ...OFFLINE, ...GRACE };
    place = new Workplace(mkdtempSync(join(tmpdir(), 'sa-orch-roots-')), environment, first.root);
    for (const [name, seeds] of Object.entries({
      a: '[1, 2, 3]',
      b: '[2, 3, 4]',
      old: '[5]',
      moved: '[6, 7]',
      stuck: '[8]',
    }))
      writeFileSync(join(place.folder, `${name}.yaml`), buildSweep(name, seeds));
  });
  afterAll(async () => {
    await place.down();
    await first.remove();
    await second.remove();
    rmSync(place.folder, { recursive: true, force: true });
  });

  const start = (name: string, trainer = first) => [
    ...['start', '--sweep', `./${name}.yaml`, '--trainer', trainer.address],
  ];
  const findId = (name: string) =>
    readdirSync(join(place.root, 'sweeps')).find((id) => id.startsWith(`${name}-`))!;
  const readStatuses = (name: string) =>
    readFileSync(join(place.root, 'sweeps', findId(name), 'results.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as TrialResult).status);

  test('cancelling one leaves the trials it shares to the other', async () => {
    brake.hold();
    expect((await place.run([...start('a'), '--detach'])).status).toBe(0);
    await place.moves('train');
    const other = place.run(start('b'));
    await soon(() => readdirSync(join(place.root, 'sweeps')).length === 2);
    expect((await place.run(['cancel', findId('a')])).status).toBe(0);
    expect((await place.run(['watch', findId('a')])).status).toBe(1);
    expect(readStatuses('a')).toEqual(['cancelled', 'cancelled', 'cancelled']);
    brake.release();
    expect((await other).status).toBe(0);
    expect(readStatuses('b')).toEqual(['done', 'done', 'done']);
    // What the other sweep finished is finished here, too; the third trial is run.
    expect((await place.run(start('a'))).status).toBe(0);
    expect(readStatuses('a')).toEqual(['done', 'done', 'done']);
  });

  test('an earlier version’s open sweep is named, and ended by force', async () => {
    const { stdout } = await place.run(['plan', '--sweep', './old.yaml', '--json']);
    const plan = JSON.parse(stdout) as Plan;
    const { sweep_id: sweepId } = plan;
    const planDigest = await writePlan(place.root, plan);
    const client = await connectTemporal(place.stateDir);
    await client.workflow.start<typeof sweep>('sweep', {
      workflowId: sweepId,
      taskQueue: 'sa-orch-of-an-earlier-version',
      args: [
        {
          ...{ stateVersion: 1, sweepId, planDigest, run: 'r', maxParallel: 1 },
          cohorts: [{ id: 'c01-cola', dataset: 'd' }],
        },
      ],
    });
    await client.connection.close();
    const message = expect.stringContaining(
      `${sweepId} is open on task queue sa-orch-of-an-earlier-version`,
    ) as string;
    const joining = await place.run(start('old'));
    expect(joining).toMatchObject({ status: 3, stderr: message });
    expect(joining.stderr).toMatch(new RegExp(`\\S+ \\S+ cancel --force ${sweepId}`));
    expect(await place.run(['watch', sweepId])).toMatchObject({ status: 3, stderr: message });
    expect(await place.run(['cancel', sweepId])).toMatchObject({ status: 3, stderr: message });
    expect(await place.run(['cancel', '--force', sweepId])).toMatchObject({
      status: 0,
      stdout: `${sweepId} ended\n`,
    });
    expect((await place.run(start('old'))).status).toBe(0);
    expect(readStatuses('old')).toEqual(['done']);
  });

  test('one whose trainer is gone for good goes on with another one', async () => {
    brake.hold();
    for (const name of ['moved', 'stuck'])
      expect((await place.run([...start(name), '--detach'])).status).toBe(0);
    await place.moves('train');
    await firstTrainer.kill();
    expect(await place.run(['cancel', findId('stuck')])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('does not answer; the sweep ends when it does') as string,
    });
    expect((await place.run(['cancel', '--force', findId('stuck')])).status).toBe(0);
    await place.run(['down', '--force']);
    await second.start([], 'toy');
    const moved = await place.run(start('moved', second));
    expect(moved.stdout).toContain('already running; showing its progress');
    expect(moved.status).toBe(0);
    expect(readStatuses('moved')).toEqual(['done', 'done']);
    expect((await place.run(start('stuck', second))).status).toBe(0);
    expect(readStatuses('stuck')).toEqual(['done']);
  });
});

const soon = (holds: () => boolean): Promise<void> => until(holds, 60);
