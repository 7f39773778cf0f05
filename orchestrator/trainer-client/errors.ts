/** A trainer's errors. */
import { status, type ServiceError } from '@grpc/grpc-js';
import { BadRequest, QuotaFailure, RetryInfo } from '../../gen/ts/google/rpc/error_details';
import { Status } from '../../gen/ts/google/rpc/status';

/** An invalid field of a request. */
export interface FieldViolation {
  /** Its path in the request, for example `spec.trials[2].prune.sparsity`. */
  field: string;
  /** What is wrong and what would be right. */
  description: string;
}

/** A failed call to a trainer, with the details that the trainer sent. */
export class TrainerError extends Error {
  /** The gRPC status code's name, for example `INVALID_ARGUMENT`. */
  readonly code: string;
  /** The invalid fields, at most 20, the last one "and N more"; empty for other errors. */
  readonly fieldViolations: readonly FieldViolation[];
  /** The queue of jobs is full. The same code without details means an oversized message. */
  readonly queueFull: boolean;
  /** How long the trainer asks to wait before a retry. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: status,
    message: string,
    details: Partial<Pick<TrainerError, 'fieldViolations' | 'queueFull' | 'retryAfterMs'>> = {},
  ) {
    super(message);
    this.name = 'TrainerError';
    this.code = status[code];
    this.fieldViolations = details.fieldViolations ?? [];
    this.queueFull = details.queueFull ?? false;
    this.retryAfterMs = details.retryAfterMs;
  }

  /**
   * Whether the trainer looked at the request and will not take it, so that repeating it is
   * pointless. Whatever else goes wrong (a broken stream, a full disk, a fault in the trainer, a
   * trainer that is away) may pass.
   */
  get refused(): boolean {
    return ['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'ALREADY_EXISTS'].includes(this.code);
  }

  /** Whether no trainer answered. */
  get unreachable(): boolean {
    return this.code === 'UNAVAILABLE' || this.code === 'DEADLINE_EXCEEDED';
  }

  /** The exit status of a command that ends with it. */
  get exitCode(): 1 | 3 {
    return this.unreachable ? 3 : 1;
  }

  /** Whether the trainer does not know the job. */
  get notFound(): boolean {
    return this.code === 'NOT_FOUND';
  }
}

/**
 * Decodes an error of grpc-js, with `where` before its message. Returns any other error unchanged.
 */
export function asTrainerError(error: unknown, where: string): Error {
  if (!isServiceError(error)) return error instanceof Error ? error : new Error(String(error));
  let fieldViolations: FieldViolation[] = [];
  let queueFull = false;
  let retryAfterMs: number | undefined;
  for (const { typeUrl, value } of statusDetails(error)) {
    switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
      case 'google.rpc.BadRequest':
        fieldViolations = BadRequest.decode(value).fieldViolations.map(
          ({ field, description }) => ({ field, description }),
        );
        break;
      case 'google.rpc.QuotaFailure':
        queueFull = QuotaFailure.decode(value).violations.length > 0;
        break;
      case 'google.rpc.RetryInfo': {
        const { retryDelay } = RetryInfo.decode(value);
        queueFull ||= error.code === status.RESOURCE_EXHAUSTED;
        if (retryDelay) retryAfterMs = retryDelay.seconds * 1000 + retryDelay.nanos / 1e6;
        break;
      }
    }
  }
  return new TrainerError(error.code, `${where}: ${shorten(error.details)}`, {
    fieldViolations,
    queueFull,
    retryAfterMs,
  });
}

/** Without what grpc-js says of how it looked for a server: the last error is the reason. */
function shorten(details: string): string {
  const told =
    /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note: /s.exec(details);
  return told ? `no connection: ${shortenTls(told[1]!)}` : details;
}

/** OpenSSL's reason, without where in its source it was found. */
const shortenTls = (reason: string): string =>
  /^\w+:error:\w+:SSL routines:[^:]*:([^:]+):/.exec(reason)?.[1] ??
  reason.replace(/^Error \[ERR_TLS_\w+\]: /, '');

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error
  );
}

function statusDetails(error: ServiceError): Status['details'] {
  const [trailer] = error.metadata.get('grpc-status-details-bin');
  return Buffer.isBuffer(trailer) ? Status.decode(trailer).details : [];
}
