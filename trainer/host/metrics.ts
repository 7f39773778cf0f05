/** What a trainer tells whoever scrapes it (`--metrics-port`), in Prometheus's text format. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseMetricsPort } from '../../common/metrics-port';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { JobState, Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { EngineEvent } from './engine';
import type { JobStore } from './jobs';
import { log } from './log';

const ENDS = {
  succeeded: JobState.JOB_STATE_SUCCEEDED,
  failed: JobState.JOB_STATE_FAILED,
  cancelled: JobState.JOB_STATE_CANCELLED,
  interrupted: JobState.JOB_STATE_INTERRUPTED,
} as const;

/** Counts what the engine does, since the process began. */
export class WorkCounts {
  steps = 0;
  /** Of the running job; 0 without one. */
  rowsPerSecond = 0;
  readonly ended = new Map<JobState, number>();
  /** Steps of the present run. */
  private ofRun = 0;

  note(event: EngineEvent): void {
    if (event.$case !== 'progress') return;
    const { phase, done, resumed, rowsPerSecond } = event.value;
    this.rowsPerSecond = rowsPerSecond;
    if (phase !== Phase.PHASE_TRAIN) return;
    const steps = done - resumed;
    this.steps += steps - this.ofRun;
    this.ofRun = steps;
  }

  noteEnd(state: JobState): void {
    this.rowsPerSecond = 0;
    this.ofRun = 0;
    this.ended.set(state, (this.ended.get(state) ?? 0) + 1);
  }
}

interface Sources {
  capabilities: Capabilities;
  store: JobStore;
  counts: WorkCounts;
  moved: Readonly<{ received: number; sent: number }>;
  secondsSinceWork: () => number;
}

type Labels = Record<string, string>;

/** All metrics. The PyTorch trainer's metrics.py has the same. */
export function renderMetrics(sources: Sources): string {
  const { capabilities, store, counts, moved } = sources;
  const { framework, frameworkVersion: version, slots, queueLength, devices } = capabilities;
  const count = (state: JobState): number => store.newestFirst([state]).length;
  const running = count(JobState.JOB_STATE_RUNNING);
  const metric = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    ...values: [number, Labels?][]
  ): string =>
    [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...values.map(([value, labels = {}]) => `${name}${renderLabels(labels)} ${value}`),
    ].join('\n');
  const ofDevices = (field: 'memoryBytes' | 'memoryUsedBytes'): [number, Labels][] =>
    devices
      .filter((device) => device[field] > 0)
      .map((device) => [device[field], { device: device.kind === 'cpu' ? 'cpu' : device.name }]);
  const about = { framework, version, device: devices[0]!.kind };
  const lines = [
    metric('sa_orch_trainer_info', 'gauge', 'what it is', [1, about]),
    metric('sa_orch_trainer_slots', 'gauge', 'jobs that it runs at once', [slots]),
    metric('sa_orch_trainer_slots_used', 'gauge', 'jobs that it runs now', [running]),
    metric('sa_orch_trainer_queue_length', 'gauge', 'jobs that may wait', [queueLength]),
    metric('sa_orch_trainer_queued_jobs', 'gauge', 'jobs that wait', [
      count(JobState.JOB_STATE_QUEUED),
    ]),
    metric(
      'sa_orch_trainer_jobs_total',
      'counter',
      'runs of jobs that have ended, by how they did',
      ...Object.entries(ENDS).map(([state, value]): [number, Labels] => [
        counts.ended.get(value) ?? 0,
        { state },
      ]),
    ),
    metric('sa_orch_trainer_rows_per_second', 'gauge', 'rows scored, trained or predicted', [
      counts.rowsPerSecond,
    ]),
    metric('sa_orch_trainer_steps_total', 'counter', 'training steps, all trials together', [
      counts.steps,
    ]),
    metric(
      'sa_orch_trainer_seconds_since_work',
      'gauge',
      "since the running job's loop moved; 0 without a job",
      [running > 0 ? sources.secondsSinceWork() : 0],
    ),
    metric('sa_orch_trainer_bytes_received_total', 'counter', 'bytes of files that came', [
      moved.received,
    ]),
    metric('sa_orch_trainer_bytes_sent_total', 'counter', 'bytes of files that were fetched', [
      moved.sent,
    ]),
    metric(
      'sa_orch_trainer_memory_bytes',
      'gauge',
      'memory of its device',
      ...ofDevices('memoryBytes'),
    ),
    metric(
      'sa_orch_trainer_memory_used_bytes',
      'gauge',
      'memory of its device in use, by whatever process',
      ...ofDevices('memoryUsedBytes'),
    ),
    metric('process_resident_memory_bytes', 'gauge', 'memory of this process, without its engine', [
      process.memoryUsage.rss(),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function renderLabels(labels: Labels): string {
  const escape = (value: string): string =>
    value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

/**
 * Serves `/metrics` at `<port>` of 127.0.0.1, or at `<host>:<port>`. Where it cannot, the trainer
 * works all the same: jobs matter more than what is told of them.
 */
export function serveMetrics(where: string, render: () => string): void {
  const { host, port } = parseMetricsPort(where)!;
  const server = createServer((request, response) => {
    const isAsked = request.method === 'GET' && request.url?.split('?')[0] === '/metrics';
    if (!isAsked) return void response.writeHead(404).end('GET /metrics\n');
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(render());
  });
  server.on('error', (error) => log('WARNING', `no metrics at ${where}: ${error.message}`));
  server.listen(port, host, () =>
    log('INFO', `metrics at http://${host}:${(server.address() as AddressInfo).port}/metrics`),
  );
  server.unref();
}
