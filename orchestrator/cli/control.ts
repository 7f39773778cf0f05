/** `sa-orch pause`, `resume`, `cancel`: a person's wish for a running sweep. */
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

/** Without a worker an update waits; longer than this and the user should know. */
const ANSWER_MS = 15_000;

export function pauseCommand(): Command {
  return modeCommand(
    'pause',
    'pause',
    'stop a sweep at checkpoints; `resume` goes on from there',
    'paused',
  );
}

export function resumeCommand(): Command {
  return modeCommand('resume', 'run', 'go on with a paused sweep', 'goes on');
}

export function cancelCommand(): Command {
  return modeCommand(
    'cancel',
    'cancel',
    'end a sweep; finished trials keep their results, `start` runs the others again',
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
            const message = `no worker took it within ${ANSWER_MS / 1000} s`;
            throw new UserError(
              message,
              3,
              '`sa-orch status` shows the worker, `sa-orch up` starts it. Then try again.',
            );
          }
          throw error;
        } finally {
          await client.connection.close();
        }
      }),
  );
}
