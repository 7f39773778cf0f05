/**
 * A sweep that is ended with Temporal's own tools, on a real server with a real trainer: the
 * trainer's job must end, too.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { readResults, writePlan } from '../../orchestrator/store/sweep-store';
import type { Plan, PlannedDataset } from '../../orchestrator/sweep/types';
import { createActivities } from '../../workflows/activities';
import type { sweep } from '../../workflows/sweep';
import { REPOSITORY, trainerCommand } from '../support/trainers';
import { writeTinyDataset } from '../support/tiny-dataset';
import { TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { backbone, dataset, prune } from '../unit/support/plans';
import { plannedTrial } from '../unit/support/tiny-plan';

const { SA_ORCH_TEST_BACKBONE: model, SA_ORCH_TEST_TEMPORAL: temporal } = process.env;
const isPossible = temporal && !('missing' in trainerCommand('toy'));
const describeHere = isPossible ? describe : describe.skip;

/** Two cohorts of the toy's trials, each hours of work. */
function planEndless(root: string): Plan {
  const { digest } = writeTinyDataset(root);
  const rows: PlannedDataset = { ...dataset('mrpc'), digest, num_labels: 2 };
  const endless = ['t1', 't2'].map((id, seed) => {
    const { adapter, train, ...trial } = plannedTrial(id, { seed, dataset: digest });
    return {
      ...trial,
      adapter: {
        ...{ ...adapter, attention: 'none' as const, ffn: 'none' as const },
        ...{ attention_bottleneck: 0, ffn_bottleneck: 0 },
      },
      prune: prune(),
      train: { ...train, total_steps: 1_000_000 },
    };
  });
  return {
    ...{ format: 3, sweep_id: 'tiny-00000000', name: 'tiny', profile: null, profile_reason: null },
    backbone: { ...backbone(), path: model! },
    datasets: [rows],
    trials: endless,
    cohorts: endless.map(({ id }, i) => ({ id: `c${i + 1}`, dataset: digest, trials: [id] })),
  };
}

describeHere('a sweep that Temporal’s own tools end', () => {
  let server: TestWorkflowEnvironment;
  let place: TrainerPlace;
  let trainer: TrainerProcess;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'existing-path', path: temporal! } },
    });
  });
  afterAll(() => server.teardown());
  beforeEach(async () => {
    place = new TrainerPlace();
    trainer = await place.start([], 'toy');
  });
  afterEach(() => place.remove());

  const listTrainings = async () =>
    (await trainer.client.listJobs()).filter(({ lastSequence }) => lastSequence > 0);

  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 20_000; !(await condition()); await sleep(100))
      if (Date.now() > deadline) throw new Error(`not so in 20 s: ${condition.toString()}`);
  }

  test.each(['cancel', 'terminate'] as const)('%s ends its jobs within seconds', async (tool) => {
    const plan = planEndless(place.root);
    const planDigest = await writePlan(place.root, plan);
    const taskQueue = `tools-${tool}`;
    const activities = createActivities({ root: place.root, trainer: place.address });
    const worker = await Worker.create({
      ...{ connection: server.nativeConnection, taskQueue },
      workflowBundle: { codePath: join(REPOSITORY, 'dist/workflow-bundle.js') },
      activities: { ...activities, prepareData: () => undefined },
    });
    await worker.runUntil(async () => {
      const handle = await server.client.workflow.start<typeof sweep>('sweep', {
        ...{ taskQueue, workflowId: tool },
        args: [
          {
            ...{ stateVersion: 1, sweepId: plan.sweep_id, planDigest, run: 'r', maxParallel: 2 },
            cohorts: plan.cohorts.map(({ id, dataset: digest }) => ({ id, dataset: digest })),
          },
        ],
      });
      const isTraining = async () =>
        (await trainer.client.listJobs([JobState.JOB_STATE_RUNNING])).some(
          ({ lastSequence }) => lastSequence > 3,
        );
      await until(isTraining);
      const began = Date.now();
      await handle[tool]('enough');
      await until(async () =>
        (await listTrainings()).every(({ state }) =>
          [JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_CANCELLED].includes(state),
        ),
      );
      expect(Date.now() - began).toBeLessThan(15_000);
      await until(async () => (await readResults(place.root, plan)).length === 2);
      if (tool === 'cancel') expect(await handle.result()).toMatchObject({ cancelled: 2 });
    });
    const states = (await listTrainings()).map(({ state }) => state);
    expect(states).toContain(JobState.JOB_STATE_CANCELLED);
    expect((await readResults(place.root, plan)).map(({ status }) => status)).toEqual([
      'cancelled',
      'cancelled',
    ]);
  });
});
