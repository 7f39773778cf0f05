/**
 * The worker: runs the workflows and their activities until it is stopped. Settings come from the
 * environment:
 *
 *   SA_ORCH_TEMPORAL_ADDRESS   the embedded server; if unset, Temporal's own settings apply
 *                              (TEMPORAL_ADDRESS, profiles, TLS, …)
 *   SA_ORCH_NAMESPACE          `default` unless set
 *   SA_ORCH_TASK_QUEUE         one per artifact root: an activity must run where the files are
 *   SA_ORCH_TRAINER            the trainer's address
 *   SA_ORCH_ROOT               the artifact root
 *   SA_ORCH_TRAINER_GRACE      seconds that a trainer may be away before others get its work; 180
 *                              unless set
 *   SA_ORCH_FETCH_SECONDS      how often checkpoints are fetched from trainers with a root of their
 *                              own: 180 unless set
 *   SA_ORCH_METRICS_PORT       `<port>` of 127.0.0.1, or `<IP address>:<port>`, where Prometheus
 *                              finds metrics of the worker and its trainers; nowhere unless set
 *   OTEL_EXPORTER_OTLP_ENDPOINT, and the other variables of OpenTelemetry: where traces go; there
 *                              are none unless it, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, is set
 */
import { join } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import {
  NativeConnection,
  Runtime,
  Worker,
  type NativeConnectionOptions,
} from '@temporalio/worker';
import { explainOnOneLine } from '../common/explain-error';
import { keepLogging } from '../common/log-output';
import { packageRoot } from '../common/package';
import { findProxy } from '../common/proxies';
import { readWorkerSettings } from '../common/worker-settings';
import { stopWithWrapper } from '../common/wrapper';
import { UserError } from '../orchestrator/base/errors';
import { createActivities } from './activities';
import type { Tracing } from './worker-tracing';

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new UserError(
      `${name} is not set`,
      2,
      'Start the worker with `sa-orch start`, `sa-orch up` or `sa-orch worker`.',
    );
  return value;
}

/** Lets Prometheus read what Temporal's worker counts, and what activities do of trainers. */
function serveMetrics(bindAddress: string): void {
  const prometheus = { bindAddress, unitSuffix: true, useSecondsForDurations: true };
  try {
    Runtime.install({ telemetryOptions: { metrics: { prometheus } } });
  } catch (error) {
    // Sweeps matter more than what is told of them.
    process.stderr.write(`no metrics at ${bindAddress}: ${explainOnOneLine(error)}\n`);
  }
}

/**
 * The connection's proxy, for a server elsewhere: the one that the command line's own connection
 * takes. This client does not look for one itself.
 */
function proxySettings(address: string | undefined): Pick<NativeConnectionOptions, 'proxy'> {
  const proxy = address === undefined ? undefined : findProxy(address);
  if (proxy === undefined) return {};
  const { username, password } = proxy;
  return {
    proxy: {
      type: 'http-connect',
      targetHost: proxy.address,
      ...(username ? { basicAuth: { username, password } } : {}),
    },
  };
}

/** Traces of workflows and activities, if somebody wants them. */
async function traceIfAsked(): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces } =
    process.env;
  if (!all && !traces) return undefined;
  return (await import('./worker-tracing.js')).startTracing();
}

async function main(): Promise<void> {
  keepLogging();
  const stop = (): void => void process.kill(process.pid, 'SIGTERM');
  stopWithWrapper(stop);
  // From a terminal that closes.
  process.on('SIGHUP', stop);
  const { metrics, graceSeconds, fetchSeconds } = readWorkerSettings();
  if (metrics !== undefined) serveMetrics(metrics);
  const tracing = await traceIfAsked();
  const dist = join(packageRoot(), 'dist');
  const embedded = process.env.SA_ORCH_TEMPORAL_ADDRESS;
  const { connectionOptions, namespace } = embedded
    ? { connectionOptions: { address: embedded } }
    : loadClientConnectConfig();
  const connection = await NativeConnection.connect({
    ...connectionOptions,
    ...proxySettings(connectionOptions.address),
  });
  const worker = await Worker.create({
    connection,
    namespace: process.env.SA_ORCH_NAMESPACE ?? namespace ?? 'default',
    taskQueue: required('SA_ORCH_TASK_QUEUE'),
    // Traces of workflows come from within them, so they are bundled with what makes these.
    ...(tracing === undefined
      ? { workflowBundle: { codePath: join(dist, 'workflow-bundle.js') } }
      : { workflowsPath: join(dist, 'workflows', 'index.js'), ...tracing.options }),
    activities: createActivities({
      root: required('SA_ORCH_ROOT'),
      trainer: process.env.SA_ORCH_TRAINER ?? '',
      graceSeconds,
      fetchSeconds,
    }),
    // Watching a job costs almost nothing, and many watches must not keep evaluation and reports
    // waiting.
    maxConcurrentActivityTaskExecutions: 200,
    // With more throttling, the worker would learn of a timeout later than the server.
    maxHeartbeatThrottleInterval: '5 seconds',
    // Lets short activities finish; the next worker simply resumes a watch.
    shutdownGraceTime: '5 seconds',
  });
  // The first signal stops the worker in order; a second one must not end it in the middle.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  await worker.run();
  await connection.close();
  await tracing?.flush();
}

const fail = (error: unknown): void => {
  process.stderr.write(`worker: ${explainOnOneLine(error)}\n`);
  process.exit(1);
};

process.on('uncaughtException', fail);
main().catch(fail);
