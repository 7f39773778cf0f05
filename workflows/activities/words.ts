/** The contract's states and failures, in words. */
import {
  FailureReason,
  failureReasonToJSON,
  jobStateToJSON,
  type Failure,
  type JobState,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Failed } from '../messages';

export function asFailed(failure: Failure): Failed {
  const reason =
    failure.reason === FailureReason.FAILURE_REASON_UNSPECIFIED
      ? 'internal'
      : failureReasonToJSON(failure.reason).replace('FAILURE_REASON_', '').toLowerCase();
  return { reason, message: failure.message };
}

export const stateWord = (state: JobState): string =>
  jobStateToJSON(state).replace('JOB_STATE_', '').toLowerCase();
