/** `sa-orch watch`: follows a running sweep again. */
import { Command } from 'commander';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { connectTemporal } from '../runtime/temporal-client';
import { ensureUp } from '../runtime/up';
import { readPlan } from '../store/plan-store';
import { attach } from './attach';
import {
  addJsonOption,
  addPlaceOptions,
  addServiceOptions,
  type PlaceOptions,
  type ServiceOptions,
} from './options';
import { progressLine, progressLineOnStderr, runAction } from './output';
import { refuseOtherQueue } from './task-queue';

type WatchOptions = PlaceOptions & ServiceOptions & { json?: boolean };

export function watchCommand(): Command {
  const command = new Command('watch')
    .description('follow a sweep until its table is there; restarts services that are gone')
    .argument('<sweep>', 'the id that `start` printed; `sa-orch status` lists them')
    .addHelpText('after', '\nExample:\n  sa-orch watch glue-7f3a12cd');
  return addJsonOption(addServiceOptions(addPlaceOptions(command))).action(
    (sweepId: string, options: WatchOptions) =>
      runAction(options.json === true, async () => {
        const root = artifactRoot(options.root);
        const stateDir = stateDirectory(options.stateDir);
        await readPlan(root, sweepId);
        const onProgress = options.json ? progressLineOnStderr : progressLine;
        const { framework, python, device, threads, trainer: trainerAddress } = options;
        const { taskQueue } = await ensureUp({
          ...{ stateDir, root, framework, python, device, threads, trainerAddress, onProgress },
        });
        const client = await connectTemporal(stateDir);
        try {
          await refuseOtherQueue(client, sweepId, taskQueue);
          await attach(client, { root, stateDir }, sweepId, options.json === true);
        } finally {
          await client.connection.close();
        }
      }),
  );
}
