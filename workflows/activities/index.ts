/** The activities of sweeps: everything that touches files or the trainer. Each may run more than once and then changes nothing. */
import { cancelJob, runJob } from './job';
import { evaluateTrials, failCohort, pendingTrials, writeSweepReport } from './results';
import { prepareData } from './prepare';

/** What a worker is set up with. */
export interface WorkerSetup {
  /** The artifact root. */
  root: string;
  /** The trainer's address: `unix:<path>` or `host:port`. */
  trainer: string;
}

export type Activities = ReturnType<typeof createActivities>;

export function createActivities(setup: WorkerSetup) {
  return {
    prepareData: (input: Parameters<typeof prepareData>[1]) => prepareData(setup, input),
    pendingTrials: (input: Parameters<typeof pendingTrials>[1]) => pendingTrials(setup, input),
    runJob: (input: Parameters<typeof runJob>[1]) => runJob(setup, input),
    cancelJob: (job: Parameters<typeof cancelJob>[1], mode: Parameters<typeof cancelJob>[2]) => cancelJob(setup, job, mode),
    evaluateTrials: (input: Parameters<typeof evaluateTrials>[1]) => evaluateTrials(setup, input),
    failCohort: (input: Parameters<typeof failCohort>[1]) => failCohort(setup, input),
    writeSweepReport: (input: Parameters<typeof writeSweepReport>[1]) => writeSweepReport(setup, input),
  };
}
