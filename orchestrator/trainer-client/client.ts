/**
 * The only code that speaks gRPC to a trainer.
 *
 * @example
 * const trainer = connectTrainer('unix:/tmp/trainer.sock');
 * try {
 *   await trainer.submitJob(jobId(digest, 1), digest, spec);
 *   for await (const { payload } of trainer.watchJob(jobId(digest, 1))) { … }
 * } finally {
 *   trainer.close();
 * }
 */
import { Metadata, type CallOptions, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  TrainerServiceClient,
  type CancelMode,
  type Job,
  type SubmitJobResponse,
  type WatchJobResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import {
  channelCredentials,
  channelOptions,
  checkAddress,
  findTls,
  type TlsFiles,
} from './channel';
import { asTrainerError } from './errors';
import { watchJob, type WatchOptions } from './watch';

export { TrainerError, type FieldViolation } from './errors';
export type { TlsFiles } from './channel';
export type { WatchOptions } from './watch';

/** No trainer needs this long for a call, so it is lost. */
const CALL_MS = 30_000;

/**
 * A client of the trainer at `unix:/path.sock` or `host:port`, which connects on first use. TLS
 * files for `host:port` are those given, else those named by SA_ORCH_TRAINER_CA, _CERT and _KEY;
 * without any, the connection is plain text. Throws an Error for an invalid address.
 */
export function connectTrainer(address: string, options: { tls?: TlsFiles } = {}): TrainerClient {
  checkAddress(address);
  const tls = options.tls ?? findTls(address);
  return new TrainerClient(
    address,
    new TrainerServiceClient(address, channelCredentials(tls), channelOptions(address)),
  );
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/**
 * The methods of TrainerService. Each throws TrainerError if the trainer refuses or cannot be
 * reached.
 */
export class TrainerClient {
  constructor(
    readonly address: string,
    private readonly client: TrainerServiceClient,
  ) {}

  /** What the trainer can do. */
  async getCapabilities(timeoutMs = CALL_MS): Promise<Capabilities> {
    const { capabilities } = await this.call<object, { capabilities: Capabilities | undefined }>(
      'getCapabilities',
      {},
      timeoutMs,
    );
    return present(capabilities, 'GetCapabilities');
  }

  /**
   * Creates the job, finds it, or requeues it if it was interrupted.
   *
   * @param headers metadata of the call, as whose span asks for it
   */
  async submitJob(
    jobId: string,
    specDigest: string,
    spec: JobSpec,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ job: Job; created: boolean }> {
    const { job, created } = await this.call<object, SubmitJobResponse>(
      'submitJob',
      { jobId, specDigest, spec },
      CALL_MS,
      headers,
    );
    return { job: present(job, 'SubmitJob'), created };
  }

  /** The job as it is now. */
  async getJob(jobId: string): Promise<Job> {
    return present(
      (await this.call<object, { job: Job | undefined }>('getJob', { jobId })).job,
      'GetJob',
    );
  }

  /** All jobs in one of these states (in any state, if none is given), newest first. */
  async listJobs(states: JobState[] = []): Promise<Job[]> {
    const found: Job[] = [];
    let pageToken = '';
    do {
      const page = await this.call<object, { jobs: Job[]; nextPageToken: string }>('listJobs', {
        states,
        pageSize: 1000,
        pageToken,
      });
      found.push(...page.jobs);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return found;
  }

  /** Asks the job to stop, and returns it as it was when asked. */
  async cancelJob(jobId: string, mode: CancelMode): Promise<Job> {
    return present(
      (await this.call<object, { job: Job | undefined }>('cancelJob', { jobId, mode })).job,
      'CancelJob',
    );
  }

  /** Follows the job's events to its end, across broken connections. */
  watchJob(jobId: string, options: WatchOptions = {}): AsyncGenerator<WatchJobResponse, void> {
    return watchJob(this.client, jobId, options);
  }

  /** Waits until the trainer can be reached; throws an Error at the deadline. */
  waitForReady(deadline: Date): Promise<void> {
    return new Promise((resolve, reject) => {
      this.client.waitForReady(deadline, (error) => {
        if (error) reject(new Error(`no trainer answers at ${this.address}`, { cause: error }));
        else resolve();
      });
    });
  }

  /** Closes the connection. Calls in progress end with CANCELLED. */
  close(): void {
    this.client.close();
  }

  private call<Request, Response>(
    name: 'getCapabilities' | 'submitJob' | 'getJob' | 'listJobs' | 'cancelJob',
    request: Request,
    timeoutMs = CALL_MS,
    headers: Readonly<Record<string, string>> = {},
  ) {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const method = this.client[name].bind(this.client) as unknown as Unary<Request, Response>;
    return new Promise<Response>((resolve, reject) => {
      method(request, metadata, { deadline: Date.now() + timeoutMs }, (error, response) => {
        if (error) reject(asTrainerError(error, `trainer ${this.address}`));
        else resolve(response);
      });
    });
  }
}

/** proto3 makes every message optional; the contract does not. */
function present<T>(message: T | undefined, method: string): T {
  if (message === undefined)
    throw new Error(`the trainer's answer to ${method} is empty, which violates the contract`);
  return message;
}
