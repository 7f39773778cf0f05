/** `sa-orch pause`, `resume` and `cancel`: control a running sweep. */
import {
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { Command } from 'commander';
import { setModeUpdate, type Mode } from '../../workflows/messages';
import { connectTemporal } from '../runtime/temporal-client';
import { stateDirectory } from '../runtime/paths';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, runAction } from './output';
import { UserError } from '../base/errors';

/** Without a worker an update waits; after this long, the user is told. */
const ANSWER_MS = 15_000;

export function pauseCommand(): Command {
  return modeCommand(
    'pause',
    'pause',
    'stop a sweep at checkpoints; `resume` continues from there',
    'paused',
  );
}

export function resumeCommand(): Command {
  return modeCommand('resume', 'run', 'continue a paused sweep', 'resumed');
}

export function cancelCommand(): Command {
  return modeCommand(
    'cancel',
    'cancel',
    'end a sweep; finished trials keep their results, and `start` reruns the others',
    'is being cancelled',
  );
}

function modeCommand(name: string, mode: Mode, description: string, done: string): Command {
  const command = new Command(name)
    .description(description)
    .argument('<sweep>', 'the id that `start` printed; `sa-orch status` lists them')
    .addHelpText('after', `\nExample:\n  sa-orch ${name} glue-7f3a12cd`);
  return addJsonOption(addPlaceOptions(command)).action(
    (sweepId: string, options: PlaceOptions & { json?: boolean }) =>
      runAction(options.json === true, async () => {
        const client = await connectTemporal(stateDirectory(options.stateDir));
        try {
          const handle = client.workflow.getHandle(sweepId);
          const before = await client.withDeadline(Date.now() + ANSWER_MS, () =>
            handle.executeUpdate(setModeUpdate, { args: [mode] }),
          );
          if (options.json) return printJson({ sweep_id: sweepId, mode, before });
          process.stdout.write(`${sweepId} ${done}\n`);
        } catch (error) {
          if (error instanceof WorkflowNotFoundError)
            throw new UserError(
              `no running sweep has the id ${sweepId}`,
              2,
              '`sa-orch status` lists them.',
            );
          if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
            const message = `no worker responded within ${ANSWER_MS / 1000} s`;
            throw new UserError(
              message,
              3,
              '`sa-orch status` shows the worker and `sa-orch up` starts it. Then try again.',
            );
          }
          throw error;
        } finally {
          await client.connection.close();
        }
      }),
  );
}
