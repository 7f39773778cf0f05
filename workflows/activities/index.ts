/**
 * The activities of a sweep: everything that touches files or the trainer. Each may run more than
 * once, and changes nothing the second time.
 */
import { ApplicationFailure } from '@temporalio/common';
import { describeFullDisk, isDiskFull } from '../../common/disk-space';
import { explainSystemError, isSystemError } from '../../common/system-errors';
import { endTrials, forgetOutcomes } from './change-trials';
import { evaluateOnTheWay, listEvaluations } from './evaluations';
import { extendPlan } from './extend';
import { cancelJob, runJob } from './job';
import { askForTrainer, lookAtTrainers, releaseTrainer, withdrawRequest } from './pool';
import { prepareData } from './prepare';
import {
  endCohorts,
  evaluateTrials,
  failCohort,
  listUnfinishedCohorts,
  pendingTrials,
  writeSweepReport,
} from './results';
import { decideChoices } from './search';
import { tellGranted, tellPlaced, tellRevoked } from './tell';
import type { WorkerSetup } from './worker-setup';

export type Activities = ReturnType<typeof createActivities>;

export function createActivities(setup: WorkerSetup) {
  const bound =
    <Input extends unknown[], Output>(
      activity: (setup: WorkerSetup, ...input: Input) => Promise<Output>,
    ) =>
    async (...input: Input): Promise<Output> => {
      try {
        return await activity(setup, ...input);
      } catch (error) {
        // Each is tried again: until there is room, or somebody has mended it.
        if (isDiskFull(error))
          throw ApplicationFailure.retryable(describeFullDisk(setup.root, error), 'FullDisk');
        if (isSystemError(error))
          throw ApplicationFailure.retryable(explainSystemError(error).message, error.code);
        throw error;
      }
    };
  return {
    listUnfinishedCohorts: bound(listUnfinishedCohorts),
    prepareData: bound(prepareData),
    pendingTrials: bound(pendingTrials),
    runJob: bound(runJob),
    cancelJob: bound(cancelJob),
    askForTrainer: bound(askForTrainer),
    withdrawRequest: bound(withdrawRequest),
    releaseTrainer: bound(releaseTrainer),
    lookAtTrainers: bound(lookAtTrainers),
    tellPlaced: bound(tellPlaced),
    tellGranted: bound(tellGranted),
    tellRevoked: bound(tellRevoked),
    evaluateTrials: bound(evaluateTrials),
    listEvaluations: bound(listEvaluations),
    evaluateOnTheWay: bound(evaluateOnTheWay),
    failCohort: bound(failCohort),
    endCohorts: bound(endCohorts),
    decideChoices: bound(decideChoices),
    extendPlan: bound(extendPlan),
    forgetOutcomes: bound(forgetOutcomes),
    endTrials: bound(endTrials),
    writeSweepReport: bound(writeSweepReport),
  };
}
