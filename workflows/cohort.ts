/** Runs a cohort: its trials, in parts, on the trainers that the pool gives it. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import { briefActivities } from './brief-activities';
import { Leases, type HeldTrainer } from './leases';
import {
  CANCELLED,
  dropSignal,
  modeSignal,
  type CohortInput,
  type CohortOutcome,
  type CohortPlacement,
  type Failed,
  type Mode,
} from './messages';
import { cameToNothing, findCommonFailure } from './failure-budget';
import { findTrainerFault, runPart, type PartEnd, type PartOf } from './part';
import { placedSignal, type Release } from './pool-messages';

/** It reads and writes a few files, so one that does not report back in a minute is retried. */
const short = proxyActivities<Pick<Activities, 'evaluateTrials'>>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});

/**
 * Runs a cohort to its end. Never throws for a trial's failure: every trial ends with a result file
 * that says what happened.
 *
 * A request to cancel the workflow itself, from Temporal's own tools or because its sweep was
 * terminated, means the same as the mode `cancel`.
 */
export async function cohort(input: CohortInput): Promise<CohortOutcome> {
  const { cancelRequested } = CancellationScope.current();
  // Nothing here is cancelled halfway: the job is stopped first, and its watcher ends by itself.
  return CancellationScope.nonCancellable(() => runCohort(input, cancelRequested));
}

async function runCohort(
  input: CohortInput,
  cancelRequested: Promise<never>,
): Promise<CohortOutcome> {
  const { sweepId, planDigest, cohortId, run } = input;
  const plan = { sweepId, planDigest, cohortId };
  let mode: Mode = input.mode;
  let generations = 0;
  cancelRequested.catch(() => (mode = 'cancel'));
  setHandler(modeSignal, (wish) => {
    if (mode !== 'cancel') mode = wish;
  });
  const dropped = new Set(input.dropped);
  // Cohorts of an earlier version went on waiting for a trainer.
  let dropEndsWait = false;
  setHandler(dropSignal, (trials) => {
    for (const trial of trials) dropped.add(trial);
    dropEndsWait = patched('drop-ends-wait');
  });
  const triedElsewhere = new Set<string>();
  const whole: PartOf = {
    plan,
    isEvaluated: input.isEvaluated === true,
    mode: () => mode,
    isDropped: (trial) => dropped.has(trial),
    dropEndsWait: () => dropEndsWait,
    nextGeneration: () => `${run}-${generations++}`,
    mayTryElsewhere: (trials) => !trials.some((trial) => triedElsewhere.has(trial)),
  };

  const pending = await briefActivities(input.isBrief ?? false).pendingTrials(plan);
  if (input.placement === undefined) {
    const { failed } = await runPart(whole, pending, null);
    return short.evaluateTrials({ ...plan, trials: pending, failed });
  }
  return new PlacedCohort(whole, input, input.placement, triedElsewhere).run(pending);
}

/** A cohort whose trials go to whatever trainers the pool gives it. */
class PlacedCohort {
  private readonly leases: Leases;
  /** Trials without a trainer. */
  private waiting: string[] = [];
  private running = 0;
  /** For Temporal's pages, by part. */
  private readonly busy = new Map<number, string>();
  private readonly outcomes: CohortOutcome[] = [];
  private readonly errors: unknown[] = [];
  /** Addresses of trainers where trials failed. */
  private avoid: string[] = [];
  private isPlaced = false;

  constructor(
    private readonly whole: PartOf,
    private readonly input: CohortInput,
    placement: CohortPlacement,
    private readonly triedElsewhere: Set<string>,
  ) {
    this.leases = new Leases(input, placement, () => whole.mode());
  }

  async run(trials: string[]): Promise<CohortOutcome> {
    this.waiting = [...trials];
    while (this.errors.length === 0) {
      setCurrentDetails(this.describe());
      await condition(() => this.waiting.length > 0 || this.running === 0);
      if (this.waiting.length === 0) break;
      await condition(() => this.whole.mode() !== 'pause' || this.waitsInVain());
      const dropped = this.waiting.filter((trial) => this.whole.isDropped(trial));
      this.waiting = this.waiting.filter((trial) => !this.whole.isDropped(trial));
      if (dropped.length > 0) await this.evaluate(dropped, asCancelled, 0);
      else if (this.whole.mode() === 'cancel')
        await this.evaluate(this.waiting.splice(0), asCancelled, 0);
      else await this.placeSome();
    }
    await condition(() => this.running === 0);
    await this.leases.releaseUnwanted();
    if (this.errors.length > 0) throw this.errors[0];
    return sumUp(this.outcomes);
  }

  /** Whether it waits for a trainer for trials that were cancelled. */
  private waitsInVain = (): boolean => this.waiting.some((trial) => this.whole.isDropped(trial));

  private describe(): string {
    const waiting = this.waiting.length > 0 ? [`${this.waiting.length} wait for a trainer`] : [];
    return [...this.busy.values(), ...waiting].map((line) => `- ${line}`).join('\n');
  }

  private async placeSome(): Promise<void> {
    const held = await this.leases.acquire(
      this.waiting.length,
      this.avoid,
      () => this.whole.dropEndsWait() && this.waitsInVain(),
    );
    if (held === null) return;
    await this.sayPlaced();
    this.running++;
    this.busy.set(held.part, `${held.lease.trials} on ${held.lease.trainer.name}`);
    void this.runOn(held, this.waiting.splice(0, held.lease.trials))
      .catch((error: unknown) => this.errors.push(error))
      .finally(() => {
        this.running--;
        this.busy.delete(held.part);
      });
  }

  /** Lets the sweep start its next cohort. */
  private async sayPlaced(): Promise<void> {
    const { parent, workflowId } = workflowInfo();
    if (this.isPlaced || parent === undefined) return;
    this.isPlaced = true;
    // A parent that is no more starts nothing.
    if (this.input.isBrief) await briefActivities(true).tellPlaced(parent.workflowId, workflowId);
    else
      await getExternalWorkflowHandle(parent.workflowId)
        .signal(placedSignal, workflowId)
        .catch(() => undefined);
  }

  private async runOn(held: HeldTrainer, trials: string[]): Promise<void> {
    let ended: Omit<Release, 'id'> = { outcome: 'done', why: null, job: null };
    let part: PartEnd;
    try {
      part = await runPart(this.whole, trials, held);
      ended = describeEnd(trials, part);
    } finally {
      await this.leases.release(held, ended);
    }
    const { failed, returned } = part;
    const through = trials.filter((trial) => returned === null || trial in failed);
    const left = trials.filter((trial) => !through.includes(trial));
    if (returned?.why === 'failing') {
      for (const trial of left) this.triedElsewhere.add(trial);
      this.avoid = [...new Set([...this.avoid, held.lease.trainer.address])];
    }
    if (through.length > 0) await this.evaluate(through, (trial) => failed[trial], held.part);
    this.leases.end(held);
    this.waiting.push(...left);
  }

  private async evaluate(
    trials: string[],
    why: (trial: string) => Failed | undefined,
    part: number,
  ): Promise<void> {
    const failed = Object.fromEntries(
      trials.flatMap((trial) => {
        const failure = why(trial);
        return failure === undefined ? [] : [[trial, failure]];
      }),
    );
    this.outcomes.push(await short.evaluateTrials({ ...this.whole.plan, trials, failed, part }));
  }
}

const asCancelled = (): Failed => CANCELLED;

function describeEnd(
  trials: readonly string[],
  { failed, returned, ...pace }: PartEnd,
): Omit<Release, 'id'> {
  if (returned === null) {
    const fault = findTrainerFault(trials, failed);
    if (fault !== null) return { outcome: 'failed', why: fault, job: null };
    const isCancelled = trials.every((trial) => failed[trial]?.reason === CANCELLED.reason);
    if (isCancelled) return { outcome: 'returned', why: null, job: null };
    return { outcome: 'done', why: null, job: null, ...pace };
  }
  const { why, message, job } = returned;
  const outcomes = {
    paused: 'returned',
    revoked: 'lost',
    unfit: 'unfit',
    failing: 'failed',
  } as const;
  return { outcome: outcomes[why], why: message, job };
}

/** The parts' outcomes as one. */
function sumUp(outcomes: readonly CohortOutcome[]): CohortOutcome {
  const count = (which: 'done' | 'failed' | 'cancelled' | 'measured') =>
    outcomes.reduce((sum, outcome) => sum + (outcome[which] ?? 0), 0);
  const measured = count('measured');
  const sum = {
    ...{ done: count('done'), failed: count('failed'), cancelled: count('cancelled') },
    ...(measured > 0 && { measured }),
  };
  const failures = outcomes.filter(({ failed }) => failed > 0).map((outcome) => outcome.failure);
  // One for which all parts failed, and which is no trial's own.
  const failure =
    cameToNothing(sum) && failures.every((each) => each !== undefined)
      ? findCommonFailure(failures)
      : undefined;
  return failure ? { ...sum, failure } : sum;
}
