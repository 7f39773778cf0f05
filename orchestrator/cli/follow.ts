/**
 * Follows a sweep through its files and its workflow's state until it ends or the user detaches.
 */
import { isGrpcDeadlineError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { listFullDisks } from '../../common/disk-space';
import { statusQuery, type SweepStatus } from '../../workflows/messages';
import { rootMessage } from '../../workflows/root-message';
import { UserError } from '../base/errors';
import { quoteWord } from '../base/shell-quote';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { hasPlan, readPlan } from '../store/plan-store';
import { SweepResults } from '../store/sweep-results';
import { findFailingActivities } from './failing-activities';
import { LiveBlock, renderSnapshot, type Snapshot } from './live-view';
import { OUTAGE_SECONDS } from './outage';
import { describeAbsences, readPool } from './pool-view';
import { ServiceWatch } from './service-watch';
import { writeAsTyped } from './typed-command';

const POLL_MS = 1000;
/** At every so many polls, absent trainers and activities that fail for ever are looked for. */
const POLLS_BETWEEN_LOOKS = 5;
/**
 * The first of these polls. Before, the pool may not have noticed that a trainer that has just
 * started is there: it looks every two seconds, and its last look was of before.
 */
const FIRST_LOOK = 3;

/**
 * Deadline of each request to the server. It is shorter than the client's own ten retries, so none
 * is left when the connection is closed.
 */
const ANSWER_MS = 3000;

/**
 * The state of a workflow: open, closed in some way, or not known at the moment. `stopped`: some of
 * its cohorts failed alike, so the others were not started.
 */
export type WorkflowState =
  | 'running'
  | 'paused'
  | 'cancelling'
  | 'finished'
  | 'stopped'
  | 'failed'
  | 'cancelled'
  | 'unknown'
  | 'server out of reach';

/** Whether the sweep is still to end. */
export const isOpen = (state: WorkflowState): boolean =>
  ['running', 'paused', 'cancelling'].includes(state);

/**
 * Asks the server for a sweep's state. `unknown`: the server knows no such workflow (it forgets
 * finished ones after its retention).
 */
export async function workflowState(
  client: Client,
  sweepId: string,
): Promise<{ state: WorkflowState; detail: string | null }> {
  const handle = client.workflow.getHandle(sweepId);
  const inTime = <T>(ask: () => Promise<T>) => client.withDeadline(Date.now() + ANSWER_MS, ask);
  try {
    const { status, raw } = await inTime(() => handle.describe());
    if (status.name === 'COMPLETED') {
      const { mode, cancelled, stopped } = (await inTime(() => handle.result())) as SweepStatus;
      if (mode === 'cancel' && cancelled > 0) return { state: 'cancelled', detail: null };
      return stopped === undefined
        ? { state: 'finished', detail: null }
        : { state: 'stopped', detail: stopped };
    }
    if (status.name === 'CANCELLED' || status.name === 'TERMINATED')
      return { state: 'cancelled', detail: null };
    if (status.name !== 'RUNNING') return { state: 'failed', detail: await readFailure(handle) };
    // A workflow whose task keeps failing looks like a running one.
    const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
    if (attempt > 3)
      return {
        state: 'running',
        detail: `its workflow task failed ${attempt} times; see the worker's log`,
      };
    // A query needs a worker; without one, assume that the workflow is running.
    const { mode } = await inTime(() => handle.query<SweepStatus, []>(statusQuery)).catch(() => ({
      mode: 'run',
    }));
    return {
      state: mode === 'pause' ? 'paused' : mode === 'cancel' ? 'cancelling' : 'running',
      detail: null,
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { state: 'unknown', detail: null };
    return {
      state: 'server out of reach',
      detail: isGrpcDeadlineError(error) ? null : rootMessage(error),
    };
  }
}

async function readFailure(handle: { result(): Promise<unknown> }): Promise<string> {
  try {
    await handle.result();
    return '';
  } catch (error) {
    return rootMessage(error);
  }
}

/** Reads a sweep's files repeatedly, each time only those that have changed. */
export class SweepReader {
  private readonly sweep: SweepResults;

  constructor(
    private readonly root: string,
    private readonly sweepId: string,
  ) {
    this.sweep = new SweepResults(root);
  }

  async read(state: string): Promise<Snapshot> {
    const plan = await readPlan(this.root, this.sweepId);
    await this.sweep.refresh(plan);
    return { plan, results: this.sweep.results, progress: this.sweep.progress, state };
  }
}

/** How following a sweep ended: with it, or because services were out of service for too long. */
export interface Followed {
  state: WorkflowState | 'out of service';
  detail: string | null;
  snapshot: Snapshot;
}

/**
 * Follows a sweep until its workflow closes, drawing on the stream. Says at once if a service is
 * down and nobody restarts it, and returns if that lasts. Aborting the signal returns at once.
 */
export async function follow(
  client: Client,
  { root, stateDir }: { root: string; stateDir: string },
  sweepId: string,
  stream: NodeJS.WriteStream,
  signal: AbortSignal,
  outageSeconds = OUTAGE_SECONDS,
): Promise<Followed> {
  const block = new LiveBlock(stream);
  const services = new ServiceWatch(stateDir, outageSeconds, (text) =>
    block.say(writeAsTyped(text)),
  );
  try {
    return await followUntilEnd(client, { root, stateDir }, sweepId, block, signal, services);
  } finally {
    services.stop();
    block.clear();
  }
}

async function followUntilEnd(
  client: Client,
  { root, stateDir }: { root: string; stateDir: string },
  sweepId: string,
  block: LiveBlock,
  signal: AbortSignal,
  services: ServiceWatch,
): Promise<Followed> {
  const reader = new SweepReader(root, sweepId);
  const taskQueue = readRuntimeConfig(stateDir)?.taskQueue;
  let failing: string[] = [];
  let absent: string[] = [];
  for (let poll = 0; ; poll++) {
    const { state, detail } = await workflowState(client, sweepId);
    const shown = detail ? `${state}: ${detail}` : state;
    const ended = ['finished', 'stopped', 'failed', 'cancelled', 'unknown'].includes(state);
    // The table is made from every file, whatever the reader has noticed.
    if (ended || signal.aborted)
      return { state, detail, snapshot: await readNow(root, sweepId, shown) };
    if (!hasPlan(root, sweepId)) throw filesGone(root, sweepId);
    const snapshot = await reader.read(shown);
    if (services.hasEnded()) return { state: 'out of service', detail: services.outage, snapshot };
    if (poll % POLLS_BETWEEN_LOOKS === FIRST_LOOK) {
      const pool = taskQueue === undefined ? undefined : await readPool(client, taskQueue);
      failing = isOpen(state) ? await findFailingActivities(client, sweepId, pool) : [];
      absent = pool?.state ? describeAbsences(pool.state, sweepId, Date.now()) : [];
    }
    // Nobody else may be able to write it down.
    const full = listFullDisks([root, stateDir]).map((disk) => `${disk}; the sweep waits`);
    const paused =
      state === 'paused' ? [`\`sa-orch resume ${quoteWord(sweepId)}\` continues it`] : [];
    const notes = [...failing, ...absent, ...full, ...paused].map(
      (line) => `  ${writeAsTyped(line)}`,
    );
    block.draw([...renderSnapshot(snapshot, Date.now()), ...notes], Date.now());
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** @throws UserError (exit 1) if the sweep's files are gone */
async function readNow(root: string, sweepId: string, shown: string): Promise<Snapshot> {
  if (!hasPlan(root, sweepId)) throw filesGone(root, sweepId);
  return new SweepReader(root, sweepId).read(shown);
}

export const filesGone = (root: string, sweepId: string): UserError =>
  new UserError(
    `the files of ${sweepId} in ${root} were removed while it was running`,
    1,
    `\`sa-orch cancel ${quoteWord(sweepId)}\` ends it, and \`sa-orch down\` the services, which ` +
      'still use what was removed. Then start again.',
  );
