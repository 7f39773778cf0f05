/**
 * What a watch makes of a trainer that misbehaves, as a real one does not. How it follows a real
 * one: test/conformance.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js';
import {
  TrainerServiceService,
  type WatchJobRequest,
  type WatchJobResponse,
} from '../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { WatchJobResponse as Response } from '../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import {
  connectTrainer,
  type TrainerClient,
  type WatchOptions,
} from '../../../orchestrator/trainer-client/client';

type Watcher = ServerWritableStream<WatchJobRequest, WatchJobResponse>;

const event = (sequence: number) =>
  Response.fromPartial({ payload: { $case: 'event', value: { sequence, logId: 'log' } } });

describe('a watch', () => {
  let folder: string;
  let server: Server;
  let client: TrainerClient;
  /** What the trainer does with its first, second, … stream; the last is repeated. */
  let streams: ((call: Watcher) => void)[];
  let asked: WatchJobRequest[];
  let cancelled: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-watch-'));
    asked = [];
    cancelled = 0;
    server = new Server();
    server.addService(
      { watchJob: TrainerServiceService.watchJob },
      {
        watchJob: (call: Watcher) => {
          asked.push(call.request);
          call.on('cancelled', () => cancelled++);
          streams[Math.min(asked.length, streams.length) - 1]!(call);
        },
      },
    );
    const address = `unix:${folder}/t.sock`;
    await new Promise((resolve) =>
      server.bindAsync(address, ServerCredentials.createInsecure(), resolve),
    );
    client = connectTrainer(address);
  });
  afterEach(() => {
    client.close();
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  });

  async function sequences(options: WatchOptions = {}, leaveAfter = Infinity): Promise<number[]> {
    const found: number[] = [];
    for await (const { payload } of client.watchJob('job', options)) {
      if (payload?.$case === 'event') found.push(payload.value.sequence);
      if (found.length >= leaveAfter) break;
    }
    return found;
  }
  const unavailable = (call: Watcher) =>
    call.emit(
      'error',
      Object.assign(new Error('away'), { code: status.UNAVAILABLE, details: 'away' }),
    );

  test('goes on from its last event after a broken connection', async () => {
    streams = [
      (call) => {
        call.write(event(1));
        call.write(event(2), () => unavailable(call));
      },
      (call) => {
        call.write(event(3));
        call.end();
      },
    ];
    expect(await sequences()).toEqual([1, 2, 3]);
    expect(asked.map(({ afterSequence, logId }) => [afterSequence, logId])).toEqual([
      [0, ''],
      [2, 'log'],
    ]);
  });

  test('ends with UNAVAILABLE when its patience is over', async () => {
    streams = [unavailable];
    await expect(sequences({ patienceSeconds: 0.5 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      unreachable: true,
    });
    expect(asked.length).toBeGreaterThan(1);
  });

  test.each([
    ['lost', [1, 3]],
    ['sent twice', [1, 1]],
  ])('ends with DATA_LOSS where an event was %s', async (_, sent) => {
    streams = [(call) => sent.forEach((sequence) => call.write(event(sequence)))];
    await expect(sequences()).rejects.toMatchObject({ code: 'DATA_LOSS', refused: false });
  });

  test('ends with the reason of its signal, also in mid-stream', async () => {
    const abort = new AbortController();
    streams = [
      (call) => call.write(event(1), () => setTimeout(() => abort.abort(new Error('enough')), 50)),
    ];
    await expect(sequences({ signal: abort.signal })).rejects.toThrow('enough');
  });

  test('that is left cancels its call, so the trainer is not watched for ever', async () => {
    streams = [(call) => call.write(event(1))];
    expect(await sequences({}, 1)).toEqual([1]);
    for (let tries = 0; cancelled === 0 && tries < 50; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(cancelled).toBe(1);
  });
});
