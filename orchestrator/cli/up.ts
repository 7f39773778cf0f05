/** `sa-orch up`: the services, without a sweep. */
import { Command } from 'commander';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { trainerStatuses } from '../runtime/trainer-status';
import { ensureUp } from '../runtime/up';
import {
  addJsonOption,
  addPlaceOptions,
  addServiceOptions,
  readServiceOptions,
  type PlaceOptions,
  type ServiceOptions,
} from './options';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { setUpInterruptibly } from './set-up';

type UpCommandOptions = PlaceOptions & ServiceOptions & { json?: boolean };

export function upCommand(): Command {
  const command = new Command('up')
    .description(
      'start Temporal server, trainers and worker where missing, and keep them running in the ' +
        'background',
    )
    .addHelpText(
      'after',
      '\nExample:\n  sa-orch up --device cpu --threads 2\n\n`start` does this as well. ' +
        '`sa-orch down` stops the services.',
    );
  return addJsonOption(addServiceOptions(addPlaceOptions(command))).action(
    (options: UpCommandOptions) =>
      runAction(options.json === true, async () => {
        const place = {
          stateDir: stateDirectory(options.stateDir),
          root: artifactRoot(options.root),
        };
        const onProgress = options.json ? progressLineOnStderr : progressLine;
        const runtime = await setUpInterruptibly(
          place.stateDir,
          () => 'Interrupted.',
          options.json === true,
          () => ensureUp({ ...place, ...readServiceOptions(options), onProgress }),
        );
        if (options.json) {
          const { stateDir, root, taskQueue, temporal } = runtime;
          const { address, tls } = runtime.trainers[0]!;
          const { trainers } = await trainerStatuses(stateDir);
          const services = { temporal, trainer: { address, tls }, trainers };
          printJson({ state_dir: stateDir, root, task_queue: taskQueue, ...services });
        }
      }),
  );
}
