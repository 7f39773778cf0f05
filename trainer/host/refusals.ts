/** Errors of calls, as in trainer.proto: each is a google.rpc.Status with details. */
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { BadRequest, QuotaFailure, RetryInfo } from '../../gen/ts/google/rpc/error_details';
import { Status } from '../../gen/ts/google/rpc/status';
import type { Violation } from './violations';

const MOST_VIOLATIONS = 20;
const RETRY_SECONDS = 5;

interface Detail {
  type: string;
  value: Uint8Array;
}

/** An error that ends a call. */
export class Refusal extends Error {
  constructor(
    readonly code: status,
    message: string,
    private readonly details: Detail[] = [],
  ) {
    super(message);
  }

  /** As grpc-js sends it. */
  asServiceError(): ServiceError {
    const details = this.details.map(({ type, value }) => ({
      typeUrl: `type.googleapis.com/google.rpc.${type}`,
      value: Buffer.from(value),
    }));
    const metadata = new Metadata();
    const trailer = Status.encode({ code: this.code, message: this.message, details }).finish();
    metadata.set('grpc-status-details-bin', Buffer.from(trailer));
    return Object.assign(new Error(this.message), {
      code: this.code,
      details: this.message,
      metadata,
    });
  }
}

/** The message contains the first violation, for clients that do not decode details. */
export function refuseFields(
  code: status.INVALID_ARGUMENT | status.FAILED_PRECONDITION,
  violations: readonly Violation[],
): Refusal {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : '';
  return new Refusal(code, `${first!.field}: ${first!.description}${more}`, [
    badRequest(violations),
  ]);
}

/**
 * At most 20 violations, the last one "and N more", because a longer trailer breaks the connection.
 */
function badRequest(violations: readonly Violation[]): Detail {
  const shown =
    violations.length > MOST_VIOLATIONS
      ? violations.slice(0, MOST_VIOLATIONS - 1)
      : [...violations];
  const rest = violations.slice(shown.length);
  if (rest.length > 0)
    shown.push({ field: rest[0]!.field, description: `and ${rest.length} more` });
  return {
    type: 'BadRequest',
    value: BadRequest.encode(BadRequest.fromPartial({ fieldViolations: shown })).finish(),
  };
}

export function refuseFullQueue(queueLength: number): Refusal {
  const description = `${queueLength} jobs are waiting, and the queue is full`;
  const quota = QuotaFailure.fromPartial({
    violations: [{ subject: 'queue_length', description }],
  });
  return new Refusal(status.RESOURCE_EXHAUSTED, description, [
    { type: 'QuotaFailure', value: QuotaFailure.encode(quota).finish() },
    retryInfo(),
  ]);
}

/** The disk is full; the message describes it. */
export const refuseFullDisk = (message: string): Refusal =>
  new Refusal(status.RESOURCE_EXHAUSTED, message, [retryInfo()]);

const retryInfo = (): Detail => ({
  type: 'RetryInfo',
  value: RetryInfo.encode({ retryDelay: { seconds: RETRY_SECONDS, nanos: 0 } }).finish(),
});

export const refuseStopping = (): Refusal =>
  new Refusal(status.UNAVAILABLE, 'the trainer is being stopped');
