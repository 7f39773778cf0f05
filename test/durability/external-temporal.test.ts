/**
 * A Temporal server of the users' own, two of whom share trainers through one artifact root: both
 * their workers serve it, and each sweep has half of the trainers' time, though one's jobs take
 * longer.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { taskQueueFor } from '../../orchestrator/runtime/runtime-plan';
import { poolId, poolQuery, type PoolState } from '../../workflows/pool-messages';
import { Brake } from '../support/brake';
import { findFreePort } from '../support/free-port';
import { trainerCommand } from '../support/trainers';
import { TrainerPlace } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';

const { SA_ORCH_TEST_BACKBONE: model, SA_ORCH_TEST_TEMPORAL: binary } = process.env;
const isPossible = binary && !('missing' in trainerCommand('toy'));
const describeHere = isPossible ? describe : describe.skip;

const NAMESPACE = 'adapters';
const MS_BETWEEN_LOOKS = 50;
/** Of a pass of a trainer. Jobs mostly wait, as on a machine with nothing else to do. */
const PASS_MS = 25;
const SHORT_STEPS = 3;
/** Trials of a cohort: few, and trained on too many rows to be put together as brief ones. */
const COHORT = 3;
const buildSweep = (name: string, cohorts: number, steps: number) => `
name: ${name}
backbone: ${model}
tasks: [cola]
rows: 4
validation_rows: 2
seeds: [1-${COHORT * cohorts}]
adapter: {kind: head_only}
train: {steps: ${steps}, batch_size: 400}
`;

describeHere('two users with one Temporal server of their own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-two-'));
  const brake = new Brake(join(folder, 'brake'), process.execPath);
  const first = new TrainerPlace();
  const second = new TrainerPlace(first.root);
  let server: TestWorkflowEnvironment;
  let users: [Workplace, Workplace];
  let metricsPort: number;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'existing-path', path: binary! }, namespace: NAMESPACE },
    });
    brake.hold(PASS_MS);
    process.env.SA_ORCH_TOY_COHORT = String(COHORT);
    metricsPort = await findFreePort();
    await Promise.all([first, second].map((place) => place.start([], 'toy', brake)));
    const prepare = (name: string, sweep: string, more = {}): Workplace => {
      const home = join(folder, name);
      const place = new Workplace(
        home,
        {
          ...{ HOME: home, XDG_CACHE_HOME: undefined, HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' },
          ...{ TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: NAMESPACE, ...more },
        },
        first.root,
      );
      mkdirSync(home, { recursive: true });
      writeFileSync(join(home, 'my.yaml'), sweep);
      return place;
    };
    // The long sweep is the first to have nothing left to ask for. It gets its last trainer when it
    // has had least, so the other is ahead by what it had meanwhile: two short jobs, a tenth.
    users = [
      prepare('ann', buildSweep('short', 24, SHORT_STEPS), {
        SA_ORCH_METRICS_PORT: String(metricsPort),
      }),
      prepare('bob', buildSweep('long', 12, 3 * SHORT_STEPS)),
    ];
  });
  afterAll(async () => {
    delete process.env.SA_ORCH_TOY_COHORT;
    await Promise.all(users.map((user) => user.down()));
    await Promise.all([first.remove(), second.remove(), server.teardown()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  /** Seconds of trainers that each sweep has while both want more than they have. */
  async function measureShares(taskQueue: string, goesOn: () => boolean) {
    const shares: Record<string, number> = {};
    const pool = server.client.workflow.getHandle(poolId(taskQueue));
    let before = Date.now();
    while (goesOn()) {
      await sleep(MS_BETWEEN_LOOKS);
      const state = await pool.query<PoolState>(poolQuery).catch(() => undefined);
      const now = Date.now();
      const wanting = new Set(state?.requests.map(({ sweepId }) => sweepId));
      if (wanting.size === 2)
        for (const { sweepId } of state!.leases)
          shares[sweepId] = (shares[sweepId] ?? 0) + (now - before) / 1000;
      before = now;
    }
    return shares;
  }

  test('share the time of their trainers, with a worker each, and both end', async () => {
    const taskQueue = taskQueueFor(first.root);
    const [ann, bob] = users;
    const listed = ['up', '--trainer', 'listed'];
    expect(await bob.run(listed)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining(
        `no trainer that answers is listed in ${first.root}`,
      ) as string,
    });
    const named = [first, second].flatMap(({ address }) => ['--trainer', address]);
    const annUp = await ann.run(['up', ...named]);
    const bobUp = await bob.run(listed);
    expect(bobUp.stdout).toContain(`at ${second.address}, listed in the artifact root`);
    for (const { status, stdout } of [annUp, bobUp]) {
      expect(stdout).toContain(`${server.address}, namespace ${NAMESPACE}`);
      expect(status).toBe(0);
    }
    const countWorkers = async () => {
      const { pollers } = await server.client.workflowService.describeTaskQueue({
        ...{ namespace: NAMESPACE, taskQueue: { name: taskQueue } },
        taskQueueType: 2, // of activities
      });
      return pollers.length;
    };
    await until(async () => (await countWorkers()) === 2, 20);

    let running = 2;
    const starting = users.map(async (user) => {
      const ended = await user.run(['start', '--sweep', './my.yaml']);
      running--;
      return ended;
    });
    const shares = await measureShares(taskQueue, () => running > 0);
    for (const { status, stdout, stderr } of await Promise.all(starting)) {
      expect(stdout).toMatch(/(\d+) of \1 trials done/);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    }
    const [less, more] = Object.values(shares).toSorted((a, b) => a - b) as [number, number];
    expect({ shares, isFair: more < 1.2 * less }).toEqual({ shares, isFair: true });
    // Nothing that Prometheus reads is of another worker than Ann's.
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    for (const name of [
      ...['temporal_worker_task_slots_available', 'temporal_num_pollers'],
      'temporal_activity_schedule_to_start_latency_seconds_count',
    ])
      expect(metrics).toMatch(new RegExp(`^${name}\\{.*task_queue="${taskQueue}"`, 'm'));
    for (const name of ['sa_orch_steps', 'sa_orch_rows_per_second'])
      expect(metrics).toMatch(new RegExp(`^${name}\\{.*trainer="unix:.*\\} \\d`, 'm'));
  });
});
