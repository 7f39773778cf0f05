/**
 * What a worker that exports traces bundles with the workflows: each run of a workflow is a span,
 * in which are those of its activities and children.
 *
 * Temporal's own interceptors for OpenTelemetry wait for promises of theirs, which changes the
 * order of what a workflow does: sweeps begun without traces could not go on with them, nor the
 * other way round. These change nothing but headers.
 */
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import {
  ContinueAsNew,
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
} from '@temporalio/workflow';

/** A run of a workflow that has ended. */
export interface WorkflowSpan {
  /** W3C's `traceparent` of the span; `parent`: of the one that started it. */
  traceparent: string;
  parent: string | null;
  name: string;
  workflowId: string;
  runId: string;
  /** Milliseconds since 1970. */
  began: number;
  ended: number;
  /** Why it failed; null if it did not. */
  error: string | null;
}

export interface TraceSinks extends Sinks {
  trace: { workflowEnded(span: WorkflowSpan): void };
}

/** Where interceptors of activities and clients look, too. */
const HEADER = '_tracer-data';

/** 32 and 16 hex digits that every replay gives again. */
const asTraceId = (runId: string): string => runId.replaceAll('-', '');
const asSpanId = (runId: string): string => asTraceId(runId).slice(16);

function readParent(headers: Headers): string | null {
  const payload = headers[HEADER];
  if (payload === undefined) return null;
  const { traceparent } = defaultPayloadConverter.fromPayload<{ traceparent?: string }>(payload);
  return traceparent ?? null;
}

export function interceptors(): WorkflowInterceptors {
  const { trace } = proxySinks<TraceSinks>();
  let traceparent = '';
  const within = <T extends { headers: Headers }>(input: T): T => ({
    ...input,
    headers: { ...input.headers, [HEADER]: defaultPayloadConverter.toPayload({ traceparent }) },
  });
  return {
    inbound: [
      {
        execute(input, next) {
          const { runId, workflowId, workflowType, runStartTime } = workflowInfo();
          const parent = readParent(input.headers);
          const traceId = parent?.split('-')[1] ?? asTraceId(runId);
          traceparent = `00-${traceId}-${asSpanId(runId)}-01`;
          const tell = (error: string | null): void =>
            trace.workflowEnded({
              ...{ traceparent, parent, name: `RunWorkflow:${workflowType}`, workflowId, runId },
              ...{ began: runStartTime.getTime(), ended: Date.now(), error },
            });
          const result = next(input);
          result.then(
            () => tell(null),
            (error: unknown) => tell(error instanceof ContinueAsNew ? null : String(error)),
          );
          return result;
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(within(input)),
        scheduleLocalActivity: (input, next) => next(within(input)),
        startChildWorkflowExecution: (input, next) => next(within(input)),
        signalWorkflow: (input, next) => next(within(input)),
        continueAsNew: (input, next) => next(within(input)),
      },
    ],
  };
}
