/** The span of a trainer's job. */
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';
import { Job, TrainerServiceService } from '../../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { JobSpec } from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { connectTrainer } from '../../../../orchestrator/trainer-client/client';
import { traceHeaders, traceJob } from '../../../../workflows/activities/trace';
import type { JobOutcome, JobRef } from '../../../../workflows/messages';

const ref: JobRef = {
  ...{ sweepId: 's', planDigest: 'd', cohortId: 'c', trials: ['t1', 't2'], work: 'train' },
  generation: 'r-0',
};
const outcome = (state: JobOutcome['state'], failure: JobOutcome['failure'] = null) =>
  Promise.resolve({ state, failure, failedTrials: {} });

describe('the span of a job', () => {
  afterEach(() => {
    trace.disable();
    context.disable();
    propagation.disable();
  });

  function exportHere(): InMemorySpanExporter {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() });
    return exporter;
  }

  test('tells the trainer of itself in the metadata of SubmitJob', async () => {
    const exporter = exportHere();
    const told: unknown[] = [];
    const server = new Server();
    const { submitJob } = TrainerServiceService;
    server.addService(
      { submitJob },
      {
        submitJob: (
          { metadata }: ServerUnaryCall<object, object>,
          callback: (error: null, answer: object) => void,
        ) => {
          told.push(...metadata.get('traceparent'));
          callback(null, { job: Job.fromPartial({}), created: true });
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, found) =>
        error ? reject(error) : resolve(found),
      ),
    );
    const trainer = connectTrainer(`127.0.0.1:${port}`);
    try {
      await traceJob(ref, 'a', async () => {
        await trainer.submitJob('id', 'digest', JobSpec.fromPartial({}), traceHeaders());
        return outcome('succeeded');
      });
    } finally {
      trainer.close();
      server.forceShutdown();
    }
    const [span] = exporter.getFinishedSpans();
    const { traceId, spanId } = span!.spanContext();
    expect(told).toEqual([`00-${traceId}-${spanId}-01`]);
    expect(span).toMatchObject({
      name: 'job train',
      attributes: { 'sa_orch.trials': ['t1', 't2'], 'sa_orch.trainer': 'a' },
    });
  });

  test('has failed if the job has, or who follows it', async () => {
    const exporter = exportHere();
    await traceJob(ref, 'a', () => outcome('failed', { reason: 'internal', message: 'so' }));
    await expect(traceJob(ref, 'a', () => Promise.reject(new Error('away')))).rejects.toThrow(
      'away',
    );
    expect(exporter.getFinishedSpans().map(({ status }) => status)).toEqual([
      { code: SpanStatusCode.ERROR, message: 'internal: so' },
      { code: SpanStatusCode.ERROR, message: 'Error: away' },
    ]);
  });

  test('is nothing, and in no header, unless traces are wanted', async () => {
    await traceJob(ref, 'a', () => {
      expect(traceHeaders()).toEqual({});
      return outcome('succeeded');
    });
  });
});
