/** `sa-orch worker`: a worker in the foreground, for your own cluster. */
import { Command } from 'commander';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { runInForeground } from '../runtime/foreground';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { announceTemporal, taskQueueFor } from '../runtime/runtime-plan';
import { workerEnvironment, workerArguments } from '../runtime/services';
import { externalTemporal } from '../runtime/temporal-client';
import { addPlaceOptions, parseTrainerAddress, type PlaceOptions } from './options';
import { progressLineOnStderr, runAction } from './output';
import { UserError } from '../base/errors';
import { tlsFromEnvironment } from '../trainer-client/channel';

interface WorkerOptions extends PlaceOptions {
  trainer: string;
  taskQueue?: string;
  json?: boolean;
}

export function workerCommand(): Command {
  const command = new Command('worker')
    .description('run a worker in the foreground until Ctrl-C or SIGTERM')
    .requiredOption(
      '--trainer <address>',
      'address of the trainer: unix:<path> or host:port',
      parseTrainerAddress,
    )
    .option('--task-queue <name>', 'task queue (default: the one that `start` uses with this root)')
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
      const root = artifactRoot(options.root);
      const trainer = {
        kind: 'external' as const,
        address: options.trainer,
        tls: tlsFromEnvironment(),
      };
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
      progressLineOnStderr('…', 'worker', `task queue ${taskQueue}, trainer ${options.trainer}`);
      const env = workerEnvironment({ root, taskQueue, temporal, trainer });
      process.exitCode = await runInForeground(process.execPath, workerArguments(), env);
    }),
  );
}
