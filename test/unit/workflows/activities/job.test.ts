/** What watching a job makes of errors that no real trainer gives when asked to. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js';
import { MockActivityEnvironment } from '@temporalio/testing';
import { artifactRootId } from '../../../../common/files';
import { Capabilities } from '../../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { JobState } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Job,
  TrainerServiceService,
  WatchJobResponse,
  type SubmitJobRequest,
  type WatchJobRequest,
} from '../../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import type { CohortProgress } from '../../../../orchestrator/store/sweep-store';
import { writePlan } from '../../../../orchestrator/store/plan-store';
import { runJob } from '../../../../workflows/activities/job';
import type { JobOutcome, JobRef } from '../../../../workflows/messages';
import { tinyPlan } from '../../support/tiny-plan';

type Watcher = ServerWritableStream<WatchJobRequest, WatchJobResponse>;
type Answer = status | 'well';

let folder: string;
let server: Server;
/** Job ids, as submitted. */
let submitted: string[];
/** What watch and status would have shown at each call. */
let shown: (CohortProgress | undefined)[];

const refuse = (code: status) =>
  Object.assign(new Error('as told'), { code, details: 'as told', metadata: undefined });

/** What the trainer answers to each successive call of these methods; then all goes well. */
async function serve(script: { submit?: Answer[]; watch?: Answer[] }): Promise<string> {
  const next = (answers: Answer[] = []): Answer => answers.shift() ?? 'well';
  server = new Server();
  const { getCapabilities, submitJob, watchJob } = TrainerServiceService;
  server.addService(
    { getCapabilities, submitJob, watchJob },
    {
      getCapabilities: (_call: unknown, callback: (error: null, response: object) => void) =>
        callback(null, {
          capabilities: Capabilities.fromPartial({ artifactRootId: artifactRootId(folder) }),
        }),
      submitJob: (
        { request: { jobId } }: { request: SubmitJobRequest },
        callback: (error: Error | null, response?: object) => void,
      ) => {
        submitted.push(jobId);
        shown.push(readShown());
        const answer = next(script.submit);
        if (answer !== 'well') callback(refuse(answer));
        else callback(null, { job: Job.fromPartial({ jobId }), created: true });
      },
      watchJob: (call: Watcher) => {
        const answer = next(script.watch);
        const state = answer === 'well' ? 'SUCCEEDED' : 'RUNNING';
        call.write(
          WatchJobResponse.fromPartial({
            payload: {
              $case: 'event',
              value: {
                ...{ sequence: 1, logId: 'log' },
                kind: { $case: 'stateChanged', value: { state: JobState[`JOB_STATE_${state}`] } },
              },
            },
          }),
          () => (answer === 'well' ? call.end() : call.emit('error', refuse(answer))),
        );
      },
    },
  );
  const address = `unix:${folder}/t.sock`;
  await new Promise((resolve) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), resolve),
  );
  return address;
}

function readShown(): CohortProgress | undefined {
  const path = join(folder, 'sweeps', 'tiny-00000000', 'progress', 'c01-mrpc.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as CohortProgress;
  } catch {
    return undefined;
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-job-'));
  [submitted, shown] = [[], []];
});
afterEach(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

async function run(script: Parameters<typeof serve>[0]): Promise<JobOutcome> {
  const plan = tinyPlan();
  const ref: JobRef = {
    ...{ sweepId: plan.sweep_id, planDigest: await writePlan(folder, plan) },
    ...{ cohortId: 'c01-mrpc', trials: ['t1', 't2'], work: 'prune', generation: 'r-0' },
  };
  const setup = { root: folder, trainer: await serve(script) };
  return new MockActivityEnvironment().run(runJob.bind(null, setup), ref);
}

const REFUSALS = [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION, status.ALREADY_EXISTS];
const OTHERS = Object.values(status).filter(
  (code): code is status =>
    typeof code === 'number' && code !== status.OK && !REFUSALS.includes(code),
);
const UNREACHABLE = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED];

describe('a job whose trainer answers', () => {
  test.each(REFUSALS.map((code) => status[code]))('%s is refused', async (code) => {
    expect(await run({ submit: [status[code as keyof typeof status]] })).toEqual({
      state: 'failed',
      failure: { reason: 'refused', message: `trainer unix:${folder}/t.sock: as told` },
      failedTrials: {},
    });
    expect(submitted).toHaveLength(1);
  });

  test.each(OTHERS.map((code) => status[code]))('%s is tried again, and shown', async (name) => {
    const code = status[name as keyof typeof status];
    expect(await run({ submit: [code] })).toMatchObject({ state: 'succeeded' });
    expect(submitted).toHaveLength(2);
    expect(submitted[1]).toBe(submitted[0]);
    const text = `trainer unix:${folder}/t.sock: as told`;
    const says = { state: 'failing', note: `${name}: ${text}` };
    if (UNREACHABLE.includes(code)) says.state = 'unreachable';
    // Something else is in progress there, which is no fault.
    if (code === status.ABORTED) Object.assign(says, { state: 'waiting', note: text });
    expect(shown[1]).toMatchObject(says);
  });

  test.each(['NOT_FOUND', 'OUT_OF_RANGE', 'INTERNAL', 'UNKNOWN', 'RESOURCE_EXHAUSTED'])(
    '%s to its watcher is submitted again and watched from its log’s start',
    async (name) => {
      const code = status[name as keyof typeof status];
      expect(await run({ watch: [code] })).toMatchObject({ state: 'succeeded' });
      expect(submitted).toHaveLength(2);
      expect(submitted[1]).toBe(submitted[0]);
      expect(shown[1]!.note).toMatch(new RegExp(`^${name}: watching job .*: as told$`));
    },
  );

  test('with one error after another waits longer each time, and counts them', async () => {
    const began = Date.now();
    await run({ submit: [status.INTERNAL, status.UNKNOWN, status.INTERNAL] });
    expect(Date.now() - began).toBeGreaterThan(500 + 1000 + 2000 - 50);
    expect(shown.at(-1)!.note).toMatch(/^INTERNAL, 3 times: /);
  });
});
