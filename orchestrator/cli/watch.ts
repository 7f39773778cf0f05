/** `sa-orch watch`: follows a running sweep again. */
import { Command } from 'commander';
import { connectTemporal } from '../runtime/temporal-client';
import { ensureUp } from '../runtime/up';
import { hasPlan } from '../store/plan-store';
import { attach } from './attach';
import { findSweep } from './find-place';
import { filesGone } from './follow';
import { listOpenIds } from './open-sweeps';
import {
  addJsonOption,
  addPlaceOptions,
  addServiceOptions,
  readServiceOptions,
  type PlaceOptions,
  type ServiceOptions,
} from './options';
import { progressLine, progressLineOnStderr, runAction } from './output';
import { setUpInterruptibly } from './set-up';
import { refuseOtherQueue } from './task-queue';

type WatchOptions = PlaceOptions & ServiceOptions & { json?: boolean };

export function watchCommand(): Command {
  const command = new Command('watch')
    .description('follow a sweep until its table is there; restarts services that are gone')
    .argument(
      '<sweep>',
      'the id that `start` printed, or its beginning; `sa-orch status` lists them',
    )
    .addHelpText('after', '\nExample:\n  sa-orch watch glue-7f3a12cd');
  return addJsonOption(addServiceOptions(addPlaceOptions(command))).action(
    (word: string, options: WatchOptions) =>
      runAction(options.json === true, async () => {
        const { sweepId, root, stateDir } = await findSweep(word, options, listOpenIds);
        if (!hasPlan(root, sweepId)) throw filesGone(root, sweepId);
        const onProgress = options.json ? progressLineOnStderr : progressLine;
        const { taskQueue } = await setUpInterruptibly(
          stateDir,
          () => `${sweepId} is as it was.`,
          options.json === true,
          () =>
            ensureUp({
              ...{ stateDir, root, ...readServiceOptions(options), onProgress },
              canWait: true,
            }),
        );
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
