/** `sa-orch pause`, `resume` and `cancel`: control a running sweep. */
import {
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from '@temporalio/client';
import { Command } from 'commander';
import { setModeUpdate, type Mode } from '../../workflows/messages';
import { stateDirectory } from '../runtime/paths';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { connectTemporal } from '../runtime/temporal-client';
import { askCapabilities } from '../runtime/trainer-health';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, runAction } from './output';
import { UserError } from '../base/errors';
import { refuseOtherQueue } from './task-queue';
import { terminateCohorts } from './terminate-cohorts';

/** Without a worker an update waits; after this long, the user is told. */
const ANSWER_MS = 15_000;
const TRAINER_MS = 3000;

interface ControlOptions extends PlaceOptions {
  force?: boolean;
  json?: boolean;
}

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
  ).option(
    '--force',
    'end a sweep whose worker or trainer is gone for good; a job that a trainer is running for ' +
      'it goes on',
  );
}

function modeCommand(name: string, mode: Mode, description: string, done: string): Command {
  const command = new Command(name)
    .description(description)
    .argument('<sweep>', 'the id that `start` printed; `sa-orch status` lists them')
    .addHelpText('after', `\nExample:\n  sa-orch ${name} glue-7f3a12cd`);
  return addJsonOption(addPlaceOptions(command)).action(
    (sweepId: string, options: ControlOptions) =>
      runAction(options.json === true, async () => {
        const stateDir = stateDirectory(options.stateDir);
        const client = await connectTemporal(stateDir);
        try {
          const before = options.force
            ? await terminate(client, sweepId)
            : await setMode(client, sweepId, mode, stateDir);
          if (options.json) return printJson({ sweep_id: sweepId, mode, before });
          process.stdout.write(`${sweepId} ${options.force ? 'ended' : done}\n`);
          if (mode === 'cancel' && !options.force) await sayTrainerAway(sweepId, stateDir);
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
          throw new UserError(
            `no running sweep has the id ${sweepId}`,
            2,
            '`sa-orch status` lists them.',
          );
        } finally {
          await client.connection.close();
        }
      }),
  );
}

/**
 * Sets a sweep's mode and returns the previous one.
 *
 * @throws UserError (exit 3) if no worker responds
 */
async function setMode(
  client: Client,
  sweepId: string,
  mode: Mode,
  stateDir: string,
): Promise<Mode> {
  try {
    return await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).executeUpdate(setModeUpdate, { args: [mode] }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) throw error;
    const taskQueue = readRuntimeConfig(stateDir)?.taskQueue;
    if (taskQueue !== undefined) await refuseOtherQueue(client, sweepId, taskQueue);
    throw new UserError(
      `no worker responded within ${ANSWER_MS / 1000} s`,
      3,
      '`sa-orch status` shows the worker and `sa-orch up` starts it. Then try again.',
    );
  }
}

/** A sweep ends once its jobs have, and only the trainer can say so. */
async function sayTrainerAway(sweepId: string, stateDir: string): Promise<void> {
  const trainer = readRuntimeConfig(stateDir)?.trainer;
  if (!trainer) return;
  const answers = await askCapabilities(trainer, TRAINER_MS).then(
    () => true,
    () => false,
  );
  if (answers) return;
  process.stderr.write(
    `the trainer at ${trainer.address} does not answer; the sweep ends when it does\n` +
      `  If it is gone for good, \`sa-orch cancel --force ${sweepId}\` ends the sweep now.\n`,
  );
}

/** Ends a sweep and its cohorts without their help, and says so. */
async function terminate(client: Client, sweepId: string): Promise<null> {
  const reason = 'sa-orch cancel --force';
  let notFound: WorkflowNotFoundError | undefined;
  await client.workflow
    .getHandle(sweepId)
    .terminate(reason)
    .catch((error: unknown) => {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      notFound = error;
    });
  const terminated = await terminateCohorts(client, sweepId, new Date(), reason);
  if (notFound && terminated === 0) throw notFound;
  // Nobody is there to tell the previous mode.
  return null;
}
