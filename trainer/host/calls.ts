/** Calls as grpc-js makes them: reading requests, and ending calls with errors. */
import { once, type EventEmitter } from 'node:events';
import { status, type handleUnaryCall, type ServiceDefinition } from '@grpc/grpc-js';
import { FileChanged } from '../../common/file-digests';
import { log } from './log';
import { Refusal } from './refusals';

/**
 * Replaces a request whose bytes could not be read. grpc-js alone would report INTERNAL, as if the
 * trainer were at fault.
 */
class Unreadable {
  constructor(private readonly error: unknown) {}

  refuse(): Refusal {
    const says = String(this.error);
    const what = /MAX_SAFE_INTEGER/.test(says)
      ? 'a number in it is above 2^53 - 1, the largest that this trainer takes'
      : says;
    return new Refusal(status.INVALID_ARGUMENT, `the request cannot be read: ${what}`);
  }
}

/** A service's definition for grpc-js, with which an unreadable request reaches its handler. */
export function readable<Service extends ServiceDefinition>(service: Service): Service {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => {
      const requestDeserialize = (bytes: Buffer): unknown => {
        try {
          return method.requestDeserialize(bytes);
        } catch (error) {
          return new Unreadable(error);
        }
      };
      return [name, { ...method, requestDeserialize }];
    }),
  ) as unknown as Service;
}

/** A message of a client. Throws a Refusal if it could not be read. */
export function readRequest<Request>(request: Request): Request {
  if (request instanceof Unreadable) throw request.refuse();
  return request;
}

/** A unary method. What `answer` throws ends the call. */
export function unary<Request, Response>(
  answer: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const run = async (): Promise<Response> => answer(readRequest(call.request));
    run().then(
      (response) => callback(null, response),
      (error: unknown) => callback(asRefusal(error, call.getPath()).asServiceError()),
    );
  };
}

/**
 * Makes an error of the trainer INTERNAL with a message; its stack trace goes only to the trainer's
 * log.
 */
export function asRefusal(error: unknown, method: string): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof FileChanged) return new Refusal(status.ABORTED, error.message);
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  log('ERROR', `${method} failed: ${error instanceof Error ? error.stack : what}`);
  return new Refusal(status.INTERNAL, `a fault in the trainer (see its log): ${what}`);
}

/** Waits until a stream of messages to a client has room for more, or is cancelled. */
export async function drained(call: EventEmitter): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    await Promise.race([once(call, 'drain', { signal }), once(call, 'cancelled', { signal })]);
  } finally {
    // Takes away the listener that was not called, of which a long stream would collect many.
    settled.abort();
  }
}
