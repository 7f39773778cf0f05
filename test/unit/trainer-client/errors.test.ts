import { Metadata, status } from '@grpc/grpc-js';
import { BadRequest, QuotaFailure, RetryInfo } from '../../../gen/ts/google/rpc/error_details';
import { Status } from '../../../gen/ts/google/rpc/status';
import { connectTrainer } from '../../../orchestrator/trainer-client/client';
import { asTrainerError, TrainerError } from '../../../orchestrator/trainer-client/errors';

function serviceError(code: status, ...details: { typeUrl: string; value: Uint8Array }[]): Error {
  const metadata = new Metadata();
  const bytes = Status.encode({
    code,
    message: 'no',
    details: details.map(({ typeUrl, value }) => ({ typeUrl, value: Buffer.from(value) })),
  });
  if (details.length > 0) metadata.set('grpc-status-details-bin', Buffer.from(bytes.finish()));
  return Object.assign(new Error('no'), { code, details: 'no', metadata });
}

const packed = <T>(
  name: string,
  type: { encode(message: T): { finish(): Uint8Array } },
  message: T,
) => ({
  typeUrl: `type.googleapis.com/google.rpc.${name}`,
  value: type.encode(message).finish(),
});

const quota = packed(
  'QuotaFailure',
  QuotaFailure,
  QuotaFailure.fromPartial({ violations: [{ subject: 'queue_length' }] }),
);
const retry = packed('RetryInfo', RetryInfo, { retryDelay: { seconds: 5, nanos: 500_000_000 } });

function decoded(error: Error): TrainerError {
  const result = asTrainerError(error, 'here');
  if (!(result instanceof TrainerError)) throw new Error('not decoded');
  return result;
}

describe('an error of a call to a trainer', () => {
  test('carries the code by name and says where it comes from', () => {
    expect(decoded(serviceError(status.NOT_FOUND))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'here: no',
      notFound: true,
      refused: false,
    });
  });

  test('of a connection that was refused gives the last reason alone', async () => {
    for (const [address, reason] of [
      ['127.0.0.1:1', 'connect ECONNREFUSED 127.0.0.1:1'],
      ['unix:/nowhere/t.sock', 'connect ENOENT /nowhere/t.sock'],
    ] as const) {
      const trainer = connectTrainer(address);
      await expect(trainer.getCapabilities()).rejects.toMatchObject({
        message: `trainer ${address}: no connection: ${reason}`,
        unreachable: true,
      });
      trainer.close();
    }
  });

  test('carries the fields that the trainer names', () => {
    const fieldViolations = [
      { field: 'spec.trials[0].prune.sparsity', description: '1.2 is not in [0, 1)' },
    ];
    const details = packed('BadRequest', BadRequest, BadRequest.fromPartial({ fieldViolations }));
    expect(decoded(serviceError(status.INVALID_ARGUMENT, details))).toMatchObject({
      fieldViolations,
      refused: true,
    });
  });

  test('is a full queue where the trainer says so, with the time to try again', () => {
    expect(decoded(serviceError(status.RESOURCE_EXHAUSTED, quota, retry))).toMatchObject({
      queueFull: true,
      refused: false,
      retryAfterMs: 5500,
    });
    expect(decoded(serviceError(status.RESOURCE_EXHAUSTED, retry)).queueFull).toBe(true);
  });

  test('is not a full queue where a message was too large, which has the same code', () => {
    expect(decoded(serviceError(status.RESOURCE_EXHAUSTED))).toMatchObject({
      queueFull: false,
      refused: false,
    });
  });

  const codes = Object.values(status).filter((code) => typeof code === 'number');
  const REFUSALS = [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION, status.ALREADY_EXISTS];

  test('is a refusal with three codes alone', () => {
    expect(codes.filter((code) => decoded(serviceError(code)).refused)).toEqual(
      expect.arrayContaining(REFUSALS),
    );
    expect(codes.filter((code) => decoded(serviceError(code)).refused)).toHaveLength(3);
  });

  test('says that nobody answered with two', () => {
    expect(codes.filter((code) => decoded(serviceError(code)).unreachable)).toEqual([
      status.DEADLINE_EXCEEDED,
      status.UNAVAILABLE,
    ]);
  });

  test('is passed on as it is where it is none of gRPC', () => {
    const error = new RangeError('other');
    expect(asTrainerError(error, 'here')).toBe(error);
  });
});
