/** How cohorts reach the pool of trainers, and how the pool sees them. */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type SignalDefinition } from '@temporalio/common';
import { nameMaker, preferredCohort } from '../../orchestrator/trainer-client/capabilities';
import { connectTrainer, type TrainerClient } from '../../orchestrator/trainer-client/client';
import { readTrainers, type TrainerSource } from '../../orchestrator/trainer-client/registry';
import {
  leasesQuery,
  poolId,
  releaseSignal,
  requestSignal,
  withdrawSignal,
  type KnownLease,
  type PlacementRequest,
  type PoolState,
  type Release,
  type TrainerReport,
} from '../pool-messages';
import { beatDuring } from './heartbeat';
import { noteTrainer } from './trainer-metrics';
import type { WorkerSetup } from './worker-setup';

/** A trainer that restarts, with a large backbone to read again, is back by then. */
const GRACE_SECONDS = 180;
const LOOK_EVERY_MS = 2000;
/** A healthy trainer answers in milliseconds; a busy one may need seconds. */
const ANSWER_MS = 5000;
/** One late answer is no absence. */
const FAILED_LOOKS = 2;
/** After this, the look ends although nothing has changed: cohorts that ended are noticed. */
const LONGEST_LOOK_MS = 2 * 60_000;
const HOLDERS_EVERY_MS = 60_000;

/** Asks the pool for a trainer, and starts the pool if it has ended. */
export async function askForTrainer(setup: WorkerSetup, request: PlacementRequest): Promise<void> {
  await signalPool(setup, requestSignal, request);
}

/** Takes a request back. */
export async function withdrawRequest(setup: WorkerSetup, id: string): Promise<void> {
  await signalPool(setup, withdrawSignal, id);
}

export async function releaseTrainer(setup: WorkerSetup, ended: Release): Promise<void> {
  await signalPool(setup, releaseSignal, ended);
}

/** workflows/pool.ts, which itself knows these activities. */
type PoolWorkflow = (state: PoolState) => Promise<void>;

async function signalPool<Value>(
  setup: WorkerSetup,
  signal: SignalDefinition<[Value]>,
  value: Value,
): Promise<void> {
  const { client, info } = Context.current();
  const { taskQueue } = info;
  const fresh: PoolState = {
    ...{ graceSeconds: setup.graceSeconds ?? GRACE_SECONDS, members: [], leases: [], requests: [] },
    ...{ served: {}, asked: {}, orphans: [], isBrief: true, mayLackLeases: true },
  };
  await client.workflow.signalWithStart<PoolWorkflow, [Value]>('pool', {
    ...{ taskQueue, workflowId: poolId(taskQueue), args: [fresh] },
    ...{ signal, signalArgs: [value], staticSummary: 'which trainer works on what' },
  });
}

export interface LookInput {
  /** What the pool knows. */
  known: TrainerReport[];
  /** Ids of the cohorts that have a trainer. */
  holders: string[];
  /** Whether to ask all cohorts for the leases that they have. */
  asksCohorts?: boolean;
}

export interface LookOutput {
  /** All trainers that serve the root. */
  trainers: TrainerReport[];
  /** Those of the holders that are no more. */
  ended: string[];
  /** What cohorts have, if they were asked. */
  leases?: KnownLease[];
}

/** Looks at the trainers until something differs from what the pool knows. */
export function lookAtTrainers(
  setup: WorkerSetup,
  { known, holders, asksCohorts = false }: LookInput,
): Promise<LookOutput> {
  return beatDuring(async (signal) => {
    const looks = new Looks(known);
    const began = Date.now();
    let asked = began;
    try {
      for (;;) {
        signal.throwIfAborted();
        const trainers = await looks.at(await findSources(setup.root, known));
        const isLate = Date.now() - began > LONGEST_LOOK_MS;
        let ended: string[] = [];
        if (isLate || Date.now() - asked > HOLDERS_EVERY_MS) {
          asked = Date.now();
          ended = await findEnded(holders);
        }
        if (isLate || ended.length > 0 || looks.haveChanged(trainers)) {
          return { trainers, ended, ...(asksCohorts ? { leases: await findHeldLeases() } : {}) };
        }
        await Context.current().sleep(LOOK_EVERY_MS);
      }
    } finally {
      looks.close();
    }
  });
}

/** The leases that cohorts of this task queue have. */
export async function findHeldLeases(): Promise<KnownLease[]> {
  const { client, info, log } = Context.current();
  const query =
    `TaskQueue = '${info.taskQueue}' AND WorkflowType = 'cohort' ` +
    "AND ExecutionStatus = 'Running'";
  const leases: KnownLease[] = [];
  for await (const { workflowId } of client.workflow.list({ query })) {
    try {
      leases.push(...(await client.workflow.getHandle(workflowId).query(leasesQuery)));
    } catch (error) {
      // One that has just ended, or that an earlier version began, or that is stuck.
      log.warn(`the leases of ${workflowId} are not known`, { error });
    }
  }
  return leases;
}

/**
 * The trainers that serve the root. While something of the lists cannot be read, those that were
 * known before count as well.
 */
async function findSources(
  root: string,
  known: readonly TrainerReport[],
): Promise<TrainerSource[]> {
  const { trainers, problems } = await readTrainers(root);
  if (problems.length === 0) return trainers;
  const named = new Set(trainers.map(({ address }) => address));
  const others = known.filter(({ address }) => !named.has(address));
  return [...trainers, ...others.map(({ name, address, tls }) => ({ name, address, tls }))];
}

/** Asks trainers what they are, over connections that it keeps. */
class Looks {
  private readonly clients = new Map<string, TrainerClient>();
  private readonly failures = new Map<string, number>();
  private readonly known: Map<string, TrainerReport>;

  constructor(known: readonly TrainerReport[]) {
    this.known = new Map(known.map((report) => [report.address, report]));
  }

  at(sources: readonly TrainerSource[]): Promise<TrainerReport[]> {
    return Promise.all(sources.map((source) => this.look(source)));
  }

  private async look(source: TrainerSource): Promise<TrainerReport> {
    const { address, tls } = source;
    const before = this.known.get(address);
    try {
      // Its certificates may not be there to read.
      const client = this.clients.get(address) ?? connectTrainer(address, { tls });
      this.clients.set(address, client);
      const capabilities = await client.getCapabilities(ANSWER_MS);
      this.failures.delete(address);
      noteTrainer(Context.current().metricMeter, source.name, capabilities);
      const { slots } = capabilities;
      const [maxCohort, largestCohort] = [preferredCohort(capabilities), capabilities.maxCohort];
      return {
        ...source,
        state: 'ready',
        why: null,
        kind: nameMaker(capabilities),
        slots,
        maxCohort,
        largestCohort,
      };
    } catch (error) {
      const failures = (this.failures.get(address) ?? 0) + 1;
      this.failures.set(address, failures);
      if (before?.state === 'ready' && failures < FAILED_LOOKS) return before;
      noteTrainer(Context.current().metricMeter, source.name, undefined);
      const { kind = null, slots = 0, maxCohort = 0, largestCohort } = before ?? {};
      return {
        ...{ ...source, state: 'away', why: (error as Error).message, kind, slots, maxCohort },
        ...(largestCohort === undefined ? {} : { largestCohort }),
      };
    }
  }

  /** Whether the pool must know; why a trainer is away may be worded anew each time. */
  haveChanged(trainers: readonly TrainerReport[]): boolean {
    const words = (report: TrainerReport | undefined) => {
      const { state, kind, slots, maxCohort, largestCohort } = report ?? {};
      return JSON.stringify({ state, kind, slots, maxCohort, largestCohort });
    };
    return (
      trainers.length !== this.known.size ||
      trainers.some((report) => words(report) !== words(this.known.get(report.address)))
    );
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }
}

/** Those of the workflows that have ended, however they did. */
async function findEnded(workflows: readonly string[]): Promise<string[]> {
  const { client } = Context.current();
  const ended: string[] = [];
  for (const id of workflows) {
    if (!(await isRunning(client, id))) ended.push(id);
  }
  return ended;
}

async function isRunning(client: Context['client'], workflowId: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    // The server forgets what has ended.
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
