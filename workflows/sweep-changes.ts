/** What a user changes of a sweep that runs, one after the other, while its cohorts go on. */
import {
  ApplicationFailure,
  condition,
  patched,
  proxyActivities,
  setHandler,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import type { cohort } from './cohort';
import { changeUpdate, dropSignal, REJECTED, type Change, type SweepStatus } from './messages';
import { rootMessage } from './root-message';

/** A user waits for them, so that one whose worker has died is soon tried again. */
const prompt = proxyActivities<Pick<Activities, 'extendPlan' | 'forgetOutcomes' | 'endTrials'>>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError', 'UserError'] },
});

/** A sweep, as its changes see it. */
export interface ChangingSweep {
  /** The digest changes with each extension. */
  plan: { sweepId: string; planDigest: string };
  status: SweepStatus;
  /** Cohorts that have been started and have not ended, by id. */
  children: ReadonlyMap<string, ChildWorkflowHandle<typeof cohort>>;
  /** Runs the cohorts of a plan that the sweep does not know yet. */
  takeOver(planned: Awaited<ReturnType<Activities['extendPlan']>>): void;
  /** Runs cohorts once more that have ended, for the trials that have no result. */
  runAgain(cohorts: readonly string[]): void;
  /** Whether cohorts fail alike, so that no more of them start. */
  isStopping(): boolean;
}

export class SweepChanges {
  /** While the plan is written, nothing else may write it. */
  isPlanning = false;
  /** Whether a change is being made, which goes by the cohorts in progress: none may start. */
  holdsStarts = false;
  /** No change is accepted from now on. */
  isEnding = false;
  /** Trials of choices yet to be made that were cancelled, so that these cannot be made. */
  readonly missing: Set<string>;
  /** Trials that were cancelled in cohorts in progress, by cohort. */
  private readonly dropped = new Map<string, string[]>();

  /** Sweeps of an earlier version made changes before they knew. */
  private readonly waitsToBegin = patched('changes-after-looking');
  /** What is still to be done. */
  readonly pending: Change[];

  /** before: what an earlier run of the workflow has left. Changes are accepted from now on. */
  constructor(
    private readonly sweep: ChangingSweep,
    before: { changes?: Change[]; missing?: string[] },
  ) {
    this.pending = [...(before.changes ?? [])];
    this.missing = new Set(before.missing);
    setHandler(
      changeUpdate,
      (change) => {
        delete sweep.status.notChanged;
        this.pending.push(change);
        this.tellLeaving();
      },
      { validator: this.refuse },
    );
    if (!this.waitsToBegin) this.takeAll().catch(() => undefined);
  }

  /** Makes changes from now on: the sweep knows which cohorts are over. */
  begin(): void {
    if (this.waitsToBegin) this.takeAll().catch(() => undefined);
  }

  /** Whether all that was asked for is in the plan, or in files. */
  get areDone(): boolean {
    return this.pending.length === 0 && !this.isPlanning;
  }

  /** Of a cohort that was in progress, those that it goes on without. */
  droppedOf(cohortId: string): readonly string[] {
    return this.dropped.get(cohortId) ?? [];
  }

  /** @throws ApplicationFailure if the sweep cannot change any more */
  private refuse: (...asked: unknown[]) => void = () => {
    const reject = (message: string, type: string) => ApplicationFailure.create({ message, type });
    if (this.sweep.status.mode === 'cancel')
      throw reject('the sweep is being cancelled', REJECTED.cancelling);
    if (this.isEnding || this.sweep.isStopping())
      throw reject('the sweep is ending', REJECTED.ending);
  };

  private async takeAll(): Promise<void> {
    for (;;) {
      const isNext = () => !this.isPlanning && this.pending.some((each) => this.canBegin(each));
      // Another one may begin between the condition and here.
      do await condition(isNext);
      while (!isNext());
      const index = this.pending.findIndex((each) => this.canBegin(each));
      this.isPlanning = true;
      // A change of an earlier version let them start.
      this.holdsStarts = patched('starts-after-changes');
      try {
        const left = await this.take(this.pending[index]!);
        this.pending.splice(index, 1, ...left);
      } catch (error) {
        this.sweep.status.notChanged = rootMessage(error);
        this.pending.splice(index, 1);
      }
      this.tellLeaving();
      this.isPlanning = this.holdsStarts = false;
    }
  }

  private canBegin(change: Change): boolean {
    return change.kind !== 'retry' || (change.after ?? []).every((id) => !this.isBusy(id));
  }

  private isBusy = (cohortId: string): boolean => this.sweep.status.cohorts[cohortId] === 'running';

  /** Returns what is still to be done of it. */
  private async take(change: Change): Promise<Change[]> {
    const { plan, status } = this.sweep;
    if (change.kind === 'extend') {
      this.sweep.takeOver(await prompt.extendPlan({ ...plan, request: change.request }));
      return [];
    }
    const { trials } = change;
    const busy = Object.keys(status.cohorts).filter(this.isBusy);
    if (change.kind === 'retry') {
      const forgotten = await prompt.forgetOutcomes({ ...plan, trials, busy });
      // Those of an earlier run are not among the counted.
      status.failed = Math.max(0, status.failed - forgotten.failed);
      status.cancelled = Math.max(0, status.cancelled - forgotten.cancelled);
      for (const trial of trials) this.missing.delete(trial);
      for (const [id, some] of this.dropped)
        this.setDropped(
          id,
          some.filter((trial) => !trials.includes(trial)),
        );
      this.sweep.runAgain(forgotten.cohorts);
      const { left, after } = forgotten;
      return left.length === 0 ? [] : [{ kind: 'retry', trials: left, after }];
    }
    const ended = await prompt.endTrials({ ...plan, trials, busy });
    status.cancelled += ended.cancelled;
    for (const trial of ended.missing) this.missing.add(trial);
    const left: string[] = [];
    for (const [id, some] of Object.entries(ended.inCohorts))
      // Those of a cohort that has ended meanwhile may have a result by now, or none.
      if (this.isBusy(id)) await this.drop(id, some);
      else left.push(...some);
    return left.length === 0 ? [] : [{ kind: 'cancel', trials: left }];
  }

  /**
   * Gives trials that a cohort was to go on without their outcome, now that it has ended: it may
   * have been through with them.
   *
   * @param cancelled how many trials the cohort has ended so
   */
  async settle(cohortId: string, cancelled: number): Promise<void> {
    if (this.droppedOf(cohortId).length === 0 || !patched('cancelled-when-ended')) return;
    while (this.isPlanning) await condition(() => !this.isPlanning);
    this.isPlanning = this.holdsStarts = true;
    try {
      const { plan, status } = this.sweep;
      const trials = [...this.droppedOf(cohortId)];
      const busy = Object.keys(status.cohorts).filter(this.isBusy);
      const ended = await prompt.endTrials({ ...plan, trials, busy });
      const others = Math.max(0, trials.length - cancelled);
      status.cancelled += Math.min(ended.cancelled, others);
      // It may have come to a result all the same.
      for (const trial of trials) if (!ended.missing.includes(trial)) this.missing.delete(trial);
      this.setDropped(cohortId, []);
    } finally {
      this.isPlanning = this.holdsStarts = false;
    }
  }

  /** Tells a cohort; one that is only about to start is told when it does. */
  private async drop(cohortId: string, trials: string[]): Promise<void> {
    this.setDropped(cohortId, [...this.droppedOf(cohortId), ...trials]);
    // It may have just ended.
    await this.sweep.children
      .get(cohortId)
      ?.signal(dropSignal, trials)
      .catch(() => undefined);
  }

  private setDropped(cohortId: string, trials: string[]): void {
    this.dropped.set(cohortId, trials);
    this.tellLeaving();
  }

  private tellLeaving(): void {
    const leaving = [...this.dropped.values()].flat();
    for (const change of this.pending) if (change.kind === 'cancel') leaving.push(...change.trials);
    if (leaving.length > 0) this.sweep.status.leaving = leaving;
    else delete this.sweep.status.leaving;
  }
}
