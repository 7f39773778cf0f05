/** `sa-orch worker`: a worker in the foreground, for your own cluster. */
import { Command } from 'commander';
import { readWorkerSettings } from '../../common/worker-settings';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { runInForeground } from '../runtime/foreground';
import { listSources, readRuntimeConfig } from '../runtime/runtime-config';
import { announceTemporal, taskQueueFor } from '../runtime/runtime-plan';
import { workerEnvironment, workerArguments } from '../runtime/services';
import { externalTemporal } from '../runtime/temporal-client';
import {
  addPlaceOptions,
  collectTrainers,
  parseUrl,
  parseWorkerMetrics,
  type PlaceOptions,
} from './options';
import { progressLineOnStderr, runAction } from './output';
import { UserError } from '../base/errors';
import { nameExternal } from '../runtime/trainer-plan';
import { holdTrainerList } from '../trainer-client/registry';
import { SOURCE_FORMS } from '../trainer-client/sources';

interface WorkerOptions extends PlaceOptions {
  trainer?: string[];
  taskQueue?: string;
  metricsPort?: string;
  otlp?: string;
  json?: boolean;
}

export function workerCommand(): Command {
  const command = new Command('worker')
    .description('run a worker in the foreground until Ctrl-C or SIGTERM')
    .option(
      '--trainer <address>',
      `a trainer (${SOURCE_FORMS}) for the sweeps of this root while the worker lives, besides ` +
        'those that others list there; may be repeated',
      collectTrainers,
    )
    .option('--task-queue <name>', 'task queue (default: the one that `start` uses with this root)')
    .option(
      '--metrics-port <port>',
      'serve metrics of the worker and its trainers for Prometheus at this port of 127.0.0.1, or ' +
        'at <host>:<port>; where `start` runs the worker: SA_ORCH_METRICS_PORT',
      parseWorkerMetrics,
    )
    .option(
      '--otlp <url>',
      'send traces to an OpenTelemetry collector, as http://127.0.0.1:4318; where `start` runs ' +
        'the worker: OTEL_EXPORTER_OTLP_ENDPOINT',
      parseUrl,
    )
    .option('--json', 'print errors as JSON (the line {"ready": true} is always JSON)')
    .addHelpText(
      'after',
      '\nExample:\n  TEMPORAL_ADDRESS=temporal.example:7233 \\\n    sa-orch worker --trainer ' +
        "gpu-box:7400 --root /shared/checkpoints\n\nTemporal's own settings name the server " +
        '(TEMPORAL_ADDRESS, TEMPORAL_PROFILE, …). Without them it is the one that `sa-orch up` ' +
        'started here.',
    );
  return addPlaceOptions(command).action((options: WorkerOptions) =>
    runAction(options.json === true, async () => {
      const asked = {
        ...(options.metricsPort && { SA_ORCH_METRICS_PORT: options.metricsPort }),
        ...(options.otlp && { OTEL_EXPORTER_OTLP_ENDPOINT: options.otlp }),
      };
      readWorkerSettings({ ...process.env, ...asked });
      const root = artifactRoot(options.root);
      const temporal =
        externalTemporal() ?? readRuntimeConfig(stateDirectory(options.stateDir))?.temporal;
      if (temporal === undefined) {
        throw new UserError(
          'no Temporal server is configured, and none was started here',
          2,
          'Set TEMPORAL_ADDRESS=<host:port>, or run `sa-orch up` first.',
        );
      }
      const taskQueue = options.taskQueue ?? taskQueueFor(root);
      await announceTemporal({ temporal }, progressLineOnStderr);
      progressLineOnStderr('…', 'worker', `task queue ${taskQueue}, ${describe(options.trainer)}`);
      const external = nameExternal(options.trainer ?? [], []);
      const env = workerEnvironment({ root, taskQueue, temporal, local: null, external });
      const release =
        external.length === 0
          ? () => undefined
          : await holdTrainerList(root, 'worker', listSources({ local: null, external }));
      try {
        process.exitCode = await runInForeground(process.execPath, workerArguments(), {
          ...env,
          ...asked,
        });
      } finally {
        release();
      }
    }),
  );
}

const describe = (trainers: readonly string[] | undefined): string =>
  trainers === undefined ? 'trainers as listed in the root' : `trainers ${trainers.join(', ')}`;
