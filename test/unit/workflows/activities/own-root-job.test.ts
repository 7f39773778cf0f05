/** What watching a job makes of a trainer with a root of its own that lacks what it reports. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ArtifactServiceService } from '../../../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import { Capabilities } from '../../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { FailureReason, JobState } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Job,
  TrainerServiceService,
  WatchJobResponse,
  type WatchJobRequest,
} from '../../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { writePlan } from '../../../../orchestrator/store/plan-store';
import { runJob } from '../../../../workflows/activities/job';
import type { JobOutcome, JobRef } from '../../../../workflows/messages';
import { tinyPlan } from '../../support/tiny-plan';

type Callback = (error: null, response: object) => void;

let root: string;
let server: Server;
/** Whether each trial's lock was held here as the job was submitted. */
let held: boolean[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-own-root-'));
  server = new Server();
});
afterEach(() => {
  server.forceShutdown();
  rmSync(root, { recursive: true });
});

const areHeld = () =>
  ['t1', 't2'].map((trial) => existsSync(join(root, 'trials', trial, 'writer.lock')));

/** A job that runs already and then has these events. */
async function run(...kinds: object[]): Promise<JobOutcome> {
  const job = Job.fromPartial({ state: JobState.JOB_STATE_RUNNING });
  const { getCapabilities, getJob, submitJob, watchJob } = TrainerServiceService;
  const { describeArtifacts } = ArtifactServiceService;
  server.addService(
    { getCapabilities, getJob, submitJob, watchJob },
    {
      getCapabilities: (_call: unknown, callback: Callback) =>
        callback(null, {
          capabilities: Capabilities.fromPartial({
            artifactRootId: 'other',
            artifactService: true,
          }),
        }),
      getJob: (_call: unknown, callback: Callback) => callback(null, { job }),
      submitJob: (_call: unknown, callback: Callback) => {
        held = areHeld();
        callback(null, { job, created: false });
      },
      watchJob: (call: ServerWritableStream<WatchJobRequest, WatchJobResponse>) => {
        kinds.forEach((kind, at) =>
          call.write(
            WatchJobResponse.fromJSON({ event: { sequence: at + 1, logId: 'log', ...kind } }),
          ),
        );
        call.end();
      },
    },
  );
  server.addService(
    { describeArtifacts },
    {
      describeArtifacts: (_call: unknown, callback: Callback) => callback(null, { artifacts: [] }),
    },
  );
  const trainer = `unix:${root}/t.sock`;
  await new Promise((resolve) =>
    server.bindAsync(trainer, ServerCredentials.createInsecure(), resolve),
  );
  const plan = tinyPlan();
  const ref: JobRef = {
    ...{ sweepId: plan.sweep_id, planDigest: await writePlan(root, plan) },
    ...{ cohortId: 'c01-mrpc', trials: ['t1', 't2'], work: 'train', generation: 'r-0' },
  };
  return new MockActivityEnvironment().run(runJob.bind(null, { root, trainer }), ref);
}

const artifact = (name: string) => ({ name, digest: 'a'.repeat(64), size: 3 });
const adapter = { trialResult: { trialId: 't2', artifacts: [artifact('trials/t2/adapter')] } };
const checkpoint = {
  checkpointWritten: {
    ...{ trialId: 't1', step: 3 },
    artifact: artifact('trials/t1/checkpoints/step-3'),
  },
};
const failure = { reason: FailureReason.FAILURE_REASON_OUT_OF_MEMORY, message: 'too large' };

test('a failed job keeps its reason, though the trainer lacks its files', async () => {
  const failed = { stateChanged: { state: JobState.JOB_STATE_FAILED, failure } };
  expect(await run(adapter, checkpoint, failed)).toMatchObject({
    state: 'failed',
    failure: { reason: 'out_of_memory', message: 'too large' },
  });
  expect(held).toEqual([true, true]);
  expect(areHeld()).toEqual([false, false]);
});

test.each([
  ['that it lacks', 'trials/t2/adapter', 'no longer has trials/t2/adapter'],
  ['that is the whole trial', 'trials/t2', 'names "trials/t2", which is no file of trial t2'],
  ['elsewhere', 'trials/../x', 'names "trials/../x", which is no file of trial t2'],
])('a job that succeeded with a file %s has failed', async (_, name, message) => {
  const result = { trialResult: { trialId: 't2', artifacts: [artifact(name)] } };
  const ended = { stateChanged: { state: JobState.JOB_STATE_SUCCEEDED } };
  expect(await run(result, ended)).toMatchObject({
    state: 'failed',
    failure: { reason: 'internal', message: expect.stringContaining(message) as string },
  });
});
