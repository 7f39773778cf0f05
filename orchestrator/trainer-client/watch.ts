/** Follows a job's events across broken connections and restarts of the trainer. */
import { status, type ClientReadableStream } from '@grpc/grpc-js';
import type {
  TrainerServiceClient,
  WatchJobResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { asTrainerError, TrainerError } from './errors';

export interface WatchOptions {
  /** Only events after this one; 0, the default, gives all. */
  afterSequence?: number;
  /** The log that afterSequence counts in; required if that is above 0. */
  logId?: string;
  /** Ends the watch with the signal's reason. The job continues. */
  signal?: AbortSignal;
  /**
   * How long a trainer may be unreachable before the watch ends with UNAVAILABLE. 30 if left out.
   */
  patienceSeconds?: number;
}

/**
 * A trainer sends a heartbeat after 5 s without an event, so a stream that is silent this long is
 * dead, whatever TCP says.
 */
const SILENCE_MS = 20_000;
const RECONNECT_MS = 200;
const PATIENCE_SECONDS = 30;

/**
 * Yields a job's events in order, each once, and heartbeats in between. Returns after the event
 * with a terminal state or INTERRUPTED. Reconnects a broken connection from the last event. Throws
 * TrainerError; OUT_OF_RANGE means that the log was lost and the job must be watched from the
 * beginning.
 */
export async function* watchJob(
  client: TrainerServiceClient,
  jobId: string,
  options: WatchOptions,
): AsyncGenerator<WatchJobResponse, void> {
  const { signal, patienceSeconds = PATIENCE_SECONDS } = options;
  let cursor = options.afterSequence ?? 0;
  let logId = options.logId ?? '';
  let reachable = Date.now();
  for (;;) {
    signal?.throwIfAborted();
    const call = client.watchJob({ jobId, afterSequence: cursor, logId });
    try {
      for await (const response of responses(call, signal)) {
        reachable = Date.now();
        const { payload } = response;
        if (payload?.$case === 'event') {
          if (payload.value.sequence !== cursor + 1) {
            throw new TrainerError(
              status.DATA_LOSS,
              `job ${jobId}: the trainer sent event ${payload.value.sequence} after ${cursor}`,
            );
          }
          cursor = payload.value.sequence;
          logId = payload.value.logId;
        }
        yield response;
        reachable = Date.now();
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      const decoded = asTrainerError(error, `watching job ${jobId}`);
      const lost = decoded instanceof TrainerError && decoded.code === 'UNAVAILABLE';
      if (!lost || Date.now() - reachable > patienceSeconds * 1000) throw decoded;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/**
 * The responses of one stream. Always cancels the call, because leaving a loop over a grpc-js
 * stream does not.
 */
async function* responses(
  call: ClientReadableStream<WatchJobResponse>,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchJobResponse> {
  // After the loop is left, an error has no other listener and would end the process.
  call.on('error', () => undefined);
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel);
  // Time counts only while waiting for the trainer, not while our caller processes an event.
  let waitingSince = Infinity;
  let silent = false;
  const watchdog = setInterval(() => {
    if (Date.now() - waitingSince > SILENCE_MS) {
      silent = true;
      call.cancel();
    }
  }, 1000);
  try {
    const stream = call[Symbol.asyncIterator]() as AsyncIterator<WatchJobResponse>;
    for (;;) {
      waitingSince = Date.now();
      const next = await stream.next();
      waitingSince = Infinity;
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    if (silent)
      throw new TrainerError(
        status.UNAVAILABLE,
        `the trainer sent nothing for ${SILENCE_MS / 1000} s`,
      );
    throw error;
  } finally {
    clearInterval(watchdog);
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}
