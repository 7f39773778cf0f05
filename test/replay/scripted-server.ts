/**
 * Workflows on a real Temporal server whose activities are written by a test, since what a decision
 * hangs on (out of memory, a passing fault) cannot be brought about at will.
 */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { Context } from '@temporalio/activity';
import {
  askForTrainer,
  findHeldLeases,
  releaseTrainer,
  withdrawRequest,
  type LookInput,
} from '../../workflows/activities/pool';
import { tellGranted, tellPlaced, tellRevoked } from '../../workflows/activities/tell';
import type { cohort } from '../../workflows/cohort';
import { findCommonFailure } from '../../workflows/failure-budget';
import type {
  CohortOutcome,
  Failed,
  JobOutcome,
  JobRef,
  SweepInput,
} from '../../workflows/messages';
import type { pool as poolWorkflow } from '../../workflows/pool';
import {
  poolId,
  type Lease,
  type PlacementRequest,
  type Release,
  type TrainerReport,
} from '../../workflows/pool-messages';
import type { sweep } from '../../workflows/sweep';

export const SUCCEEDED: JobOutcome = { state: 'succeeded', failure: null, failedTrials: {} };
export const failedJob = (reason: string, message = `${reason} it was`): JobOutcome => ({
  state: 'failed',
  failure: { reason, message },
  failedTrials: {},
});

/**
 * `describe`, with a server; skipped where SA_ORCH_TEST_TEMPORAL names no binary.
 *
 * @param settings of the server, `<key>=<value>`
 */
export function describeWithServer(
  title: string,
  body: (server: ScriptedServer) => void,
  settings: string[] = [],
): void {
  const binary = process.env.SA_ORCH_TEST_TEMPORAL;
  if (!binary) return describe.skip(title, () => body(new ScriptedServer()));
  describe(title, () => {
    const server = new ScriptedServer();
    beforeAll(() => server.start(binary, settings));
    afterAll(() => server.stop());
    body(server);
  });
}

/** A pool of trainers, which a test changes as it goes on. */
export interface ScriptedPool {
  trainers: TrainerReport[];
  graceSeconds: number;
  /** Called for each request; what it throws, the request fails with. */
  onRequest?: () => void;
}

/** A trainer that answers. */
export const readyTrainer = (name: string, more: Partial<TrainerReport> = {}): TrainerReport => ({
  ...{ name, address: `${name}:1`, state: 'ready', why: null, kind: 'toy on cpu', slots: 1 },
  ...{ maxCohort: 16, ...more },
});

interface Script {
  /** Sweeps then ask for trainers; otherwise they use the only one. */
  pool?: ScriptedPool;
  /** Called for each job that is asked to stop. */
  onCancel?: (job: JobRef) => void;
  prepareData?: () => void | Promise<void>;
  /** The cohorts that follow from a search, and before them those of each of its rungs. */
  chosen?: string[];
  rungs?: string[][];
  /** Further activities, by name. */
  activities?: Record<string, (...input: never[]) => unknown>;
}

export class ScriptedServer {
  private env!: TestWorkflowEnvironment;

  get client(): Client {
    return this.env.client;
  }

  private ids = 0;

  async start(binary: string, settings: string[]): Promise<void> {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    this.env = await TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: 'existing-path', path: binary },
        extraArgs: settings.flatMap((setting) => ['--dynamic-config-value', setting]),
      },
    });
  }

  stop(): Promise<void> {
    return this.env.teardown();
  }

  /**
   * A worker whose trainer answers as told, what happened there, and ways to start workflows.
   *
   * @param trials by cohort
   */
  async withTrainer(
    trials: Record<string, string[]>,
    answer: (job: JobRef) => JobOutcome | Promise<JobOutcome>,
    script: Script = {},
  ) {
    const { onCancel = () => undefined, prepareData = () => undefined, pool } = script;
    /** The cohorts that each decision adds. */
    const added = [...(script.rungs ?? []), script.chosen ?? []];
    const isPlanned = (cohort: string, planDigest: string): boolean =>
      !added.slice(countDecisions(planDigest)).some((later) => later.includes(cohort));
    const jobs: JobRef[] = [];
    const cancelled: string[] = [];
    const evaluated: { trials: string[]; failed: Record<string, Failed> }[] = [];
    const notStarted: string[] = [];
    const reports: number[] = [];
    const decisions: string[] = [];
    const id = ++this.ids;
    const taskQueue = `decisions-${id}`;
    const activities = {
      prepareData,
      listUnfinishedCohorts: (plan: { planDigest: string }) =>
        Object.keys(trials).filter(
          (cohort) => trials[cohort]!.length > 0 && isPlanned(cohort, plan.planDigest),
        ),
      pendingTrials: ({ cohortId }: { cohortId: string }) => trials[cohortId],
      runJob: async (job: JobRef) => {
        jobs.push(job);
        return answer(job);
      },
      cancelJob: (job: JobRef, mode: string) => {
        cancelled.push(mode);
        onCancel(job);
      },
      evaluateTrials: (input: { trials: string[]; failed: Record<string, Failed> }) => {
        evaluated.push(input);
        return countOutcome(input);
      },
      decideChoices: ({ planDigest }: { planDigest: string }) => {
        decisions.push(planDigest);
        const next = `${planDigest}, decided`;
        return {
          planDigest: next,
          cohorts: Object.keys(trials)
            .filter((id) => isPlanned(id, next))
            .map((id) => ({ id, dataset: 'x' })),
          hasSearch: countDecisions(next) < added.length,
        };
      },
      failCohort: () => ({ done: 0, failed: 1, cancelled: 0 }),
      endCohorts: ({ cohorts }: { cohorts: string[] }) => {
        notStarted.push(...cohorts);
        const cancelled = cohorts.flatMap((cohort) => trials[cohort]!).length;
        return { done: 0, failed: 0, cancelled };
      },
      writeSweepReport: () => void reports.push(Date.now()),
      ...(pool === undefined ? {} : poolActivities(pool)),
      ...script.activities,
    };
    const worker = await Worker.create({
      connection: this.env.nativeConnection,
      taskQueue,
      workflowBundle: { codePath: join(__dirname, '../../dist/workflow-bundle.js') },
      activities,
      maxHeartbeatThrottleInterval: '500 milliseconds',
    });
    const start = (cohorts: string[], settings: Partial<SweepInput> = {}, name = '') =>
      this.client.workflow.start<typeof sweep>('sweep', {
        taskQueue,
        workflowId: `sweep-${id}${name}`,
        args: [
          {
            ...buildInput(`sweep-${id}${name}`, cohorts),
            ...(pool && { maxParallel: 0, placement: { priority: 1, kind: 'toy on cpu' } }),
            ...settings,
          },
        ],
      });
    const execute = (cohortId: string) =>
      this.client.workflow.execute<typeof cohort>('cohort', {
        taskQueue,
        workflowId: `cohort-${id}`,
        args: [{ sweepId: 's', planDigest: 'd', run: 'r', cohortId, mode: 'run' }],
      });
    const findCohort = (cohortId: string) =>
      this.client.workflow.getHandle<typeof cohort>(`sweep-${id}/r/${cohortId}`);
    const findPool = () => this.client.workflow.getHandle<typeof poolWorkflow>(poolId(taskQueue));
    return {
      findPool,
      ...{ worker, jobs, cancelled, evaluated, notStarted, reports, decisions },
      ...{ start, execute, findCohort },
    };
  }
}

/** The real activities, but for what they see of the trainers. */
function poolActivities(scripted: ScriptedPool) {
  const setup = { root: '', trainer: '', graceSeconds: scripted.graceSeconds };
  const brief = (trainers: TrainerReport[]) =>
    JSON.stringify(trainers.map(({ address, state, kind }) => [address, state, kind]));
  return {
    askForTrainer: (request: PlacementRequest) => {
      scripted.onRequest?.();
      return askForTrainer(setup, request);
    },
    withdrawRequest: (request: string) => withdrawRequest(setup, request),
    releaseTrainer: (ended: Release) => releaseTrainer(setup, ended),
    tellPlaced: (sweep: string, cohort: string) => tellPlaced(setup, sweep, cohort),
    tellGranted: (cohort: string, lease: Lease) => tellGranted(setup, cohort, lease),
    tellRevoked: (cohort: string, lease: string) => tellRevoked(setup, cohort, lease),
    lookAtTrainers: async ({ known, asksCohorts }: LookInput) => {
      while (brief(known) === brief(scripted.trainers)) {
        Context.current().heartbeat();
        await Context.current().sleep(50);
      }
      const trainers = structuredClone(scripted.trainers);
      return { trainers, ended: [], ...(asksCohorts && { leases: await findHeldLeases() }) };
    },
  };
}

const countDecisions = (planDigest: string) => planDigest.split(', decided').length - 1;

const buildInput = (sweepId: string, cohorts: string[]): SweepInput => ({
  stateVersion: 1,
  sweepId,
  planDigest: 'd',
  run: 'r',
  cohorts: cohorts.map((id) => ({ id, dataset: 'x' })),
  maxParallel: 2,
});

function countOutcome(input: { trials: string[]; failed: Record<string, Failed> }): CohortOutcome {
  const failures = Object.values(input.failed);
  const cancelled = failures.filter(({ reason }) => reason === 'cancelled').length;
  const done = input.trials.length - failures.length;
  const failure = done === 0 ? findCommonFailure(failures) : undefined;
  return { done, failed: failures.length - cancelled, cancelled, ...(failure && { failure }) };
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after 20 s: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
