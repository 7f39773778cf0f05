/** Collects what happens to a job, in words, and writes it down. */
import { JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { writeJobHistory, type JobEvent } from '../../orchestrator/store/job-history';
import type { JobRef } from '../messages';
import { asFailed, stateWord } from './words';

export class HistoryWriter {
  private readonly events: JobEvent[] = [];
  private logId = '';
  private saved = 0;

  constructor(
    private readonly root: string,
    private readonly ref: JobRef,
  ) {}

  add(event: Event): void {
    this.logId = event.logId;
    const described = describeEvent(event);
    if (described === undefined) return;
    this.events.push({ time: (event.time ?? new Date()).toISOString(), ...described });
  }

  /** Writes the history if there is more of it. */
  async save(): Promise<void> {
    const count = this.events.length;
    if (count === this.saved) return;
    const { sweepId, generation, cohortId, work, trials } = this.ref;
    await writeJobHistory(
      this.root,
      sweepId,
      { generation, logId: this.logId },
      { cohort: cohortId, work, trials, events: this.events },
    );
    this.saved = count;
  }
}

/** Progress, metrics and checkpoints are too many, and are elsewhere, like environments. */
function describeEvent({ kind }: Event): Omit<JobEvent, 'time'> | undefined {
  switch (kind?.$case) {
    case 'stateChanged': {
      const { state, failure, detail } = kind.value;
      const why = failure ? describeFailure(failure) : detail;
      return {
        trial: null,
        kind: state === JobState.JOB_STATE_FAILED ? 'failure' : 'state',
        text: why === '' ? stateWord(state) : `${stateWord(state)}: ${why}`,
      };
    }
    case 'warning': {
      const { trialId, code, message } = kind.value;
      return { trial: trialId || null, kind: 'warning', text: `warning: ${code}: ${message}` };
    }
    case 'trialResult': {
      const { trialId, failure, values } = kind.value;
      if (failure)
        return { trial: trialId, kind: 'failure', text: `failed: ${describeFailure(failure)}` };
      const numbers = Object.entries(values)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => `, ${name} ${Number(value.toPrecision(6))}`);
      return { trial: trialId, kind: 'result', text: `done${numbers.join('')}` };
    }
    case 'environment':
    case 'progress':
    case 'metrics':
    case 'checkpointWritten':
    case undefined:
      return undefined;
  }
}

function describeFailure(failure: Parameters<typeof asFailed>[0]): string {
  const { reason, message } = asFailed(failure);
  return `${reason}: ${message}`;
}
