/**
 * Spans of a trainer's jobs, for OpenTelemetry. Its API does nothing unless the worker exports
 * traces (worker-tracing.ts).
 */
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { JobOutcome, JobRef } from '../messages';

/** Runs `follow` within a span of the job, which ends as the job does. */
export function traceJob(
  { sweepId, cohortId, work, trials, generation }: JobRef,
  trainer: string,
  follow: () => Promise<JobOutcome>,
): Promise<JobOutcome> {
  const attributes = {
    ...{ 'sa_orch.sweep': sweepId, 'sa_orch.cohort': cohortId, 'sa_orch.work': work },
    ...{ 'sa_orch.trials': [...trials], 'sa_orch.generation': generation },
    'sa_orch.trainer': trainer,
  };
  const options = { kind: SpanKind.CLIENT, attributes };
  return trace.getTracer('sa-orch').startActiveSpan(`job ${work}`, options, async (span) => {
    try {
      const outcome = await follow();
      span.setAttribute('sa_orch.state', outcome.state);
      if (outcome.failure !== null) {
        const { reason, message } = outcome.failure;
        span.setStatus({ code: SpanStatusCode.ERROR, message: `${reason}: ${message}` });
      }
      return outcome;
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Whose span asks for a job, as W3C's `traceparent`; nothing without traces. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}
