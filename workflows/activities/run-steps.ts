/** How many steps of training a job has done, by its log. */
import { Phase, type Event, JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';

/**
 * Sums over the job's runs. What a run found done is not counted, and steps that were lost and done
 * again count again: they were work.
 */
export class RunSteps {
  /** By all runs. */
  done = 0;
  /** Of `done`, how many were in the log before anybody here watched it. */
  before = 0;
  private ofRun = 0;
  private watchedFrom = 0;

  /** Says that events up to this one are older than this watch. */
  watchFrom(sequence: number): void {
    this.watchedFrom = sequence;
  }

  add({ kind, sequence }: Pick<Event, 'kind' | 'sequence'>): void {
    if (kind?.$case === 'stateChanged' && kind.value.state === JobState.JOB_STATE_RUNNING)
      this.ofRun = 0;
    if (kind?.$case !== 'progress' || kind.value.phase !== Phase.PHASE_TRAIN) return;
    const { done, resumed } = kind.value;
    this.done += done - resumed - this.ofRun;
    this.ofRun = done - resumed;
    if (sequence <= this.watchedFrom) this.before = this.done;
  }
}
