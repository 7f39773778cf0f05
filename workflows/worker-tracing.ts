/**
 * Exports the worker's traces to an OpenTelemetry collector, over HTTP. Loaded only if that is
 * asked for: OTEL_EXPORTER_OTLP_ENDPOINT and the other variables of OpenTelemetry's specification
 * say where and how.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { envDetectorSync, Resource } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry/lib/worker';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry';
import type { InjectedSinks, WorkerOptions } from '@temporalio/worker';
import { packageVersion } from '../common/package';
import type { TraceSinks, WorkflowSpan } from './trace-interceptors';

export interface Tracing {
  options: Pick<WorkerOptions, 'interceptors' | 'sinks'>;
  /** Sends what is still here. Never rejects: work matters more than what is told of it. */
  flush(): Promise<void>;
}

export function startTracing(): Tracing {
  const own = { 'service.name': 'sa-orch-worker', 'service.version': packageVersion() };
  const resource = new Resource(own).merge(envDetectorSync.detect());
  const processor = new BatchSpanProcessor(new OTLPTraceExporter());
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() });
  const sinks: InjectedSinks<TraceSinks> = {
    trace: {
      workflowEnded: { fn: (_, span) => processor.onEnd(asReadable(span, resource)) },
    },
  };
  return {
    options: {
      sinks,
      interceptors: {
        client: { workflow: [new OpenTelemetryWorkflowClientInterceptor()] },
        activity: [
          (context) => ({
            inbound: new OpenTelemetryActivityInboundInterceptor(context),
            outbound: new OpenTelemetryActivityOutboundInterceptor(context),
          }),
        ],
        workflowModules: [require.resolve('./trace-interceptors')],
      },
    },
    flush: () => provider.shutdown().catch(() => undefined),
  };
}

/** A span that ended in a workflow, which has no tracer of its own. */
function asReadable(span: WorkflowSpan, resource: Resource): ReadableSpan {
  const [, traceId, spanId] = span.traceparent.split('-') as [string, string, string];
  const { began, ended, name, workflowId, runId, error } = span;
  const asTime = (ms: number): [number, number] => [Math.floor(ms / 1000), (ms % 1000) * 1e6];
  return {
    ...{ name, kind: SpanKind.INTERNAL, resource, links: [], events: [], ended: true },
    spanContext: () => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED }),
    ...(span.parent === null ? {} : { parentSpanId: span.parent.split('-')[2]! }),
    ...{ startTime: asTime(began), endTime: asTime(ended), duration: asTime(ended - began) },
    status:
      error === null ? { code: SpanStatusCode.OK } : { code: SpanStatusCode.ERROR, message: error },
    attributes: { temporalWorkflowId: workflowId, run_id: runId },
    instrumentationLibrary: { name: 'sa-orch' },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}
