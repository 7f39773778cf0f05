/** `sa-orch pause`, `resume` and `cancel`: control a running sweep. */
import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from '@temporalio/client';
import { Command } from 'commander';
import { setModeUpdate, type Mode } from '../../workflows/messages';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import { quoteWord } from '../base/shell-quote';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { connectTemporal } from '../runtime/temporal-client';
import { askCapabilities } from '../runtime/trainer-health';
import { readTrainers } from '../trainer-client/registry';
import { beganWith } from '../store/asked';
import { hasPlan } from '../store/plan-store';
import { cancelTrial } from './cancel-trial';
import { findSweep, type FoundSweep } from './find-place';
import { findTarget } from './find-target';
import { workflowState } from './follow';
import { listOpenIds } from './open-sweeps';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printNote, printText, runAction } from './output';
import { describeEnd } from './sweep-end';
import { findOpenQueue, refuseOtherQueue } from './task-queue';
import { terminateSweep } from './terminate-cohorts';

/** Without a worker an update waits; after this long, the user is told. */
const ANSWER_MS = 15_000;
const TRAINER_MS = 3000;

interface ControlOptions extends PlaceOptions {
  force?: boolean;
  sweep?: string;
  json?: boolean;
}

/** A command that sets a mode, and what it says. */
interface Control {
  name: string;
  mode: Mode;
  description: string;
  done: string;
  /** Said instead if the sweep is in this mode already. */
  already: string;
}

const PAUSE: Control = {
  name: 'pause',
  mode: 'pause',
  description: 'stop a sweep at checkpoints; `resume` continues from there',
  done: 'paused; `sa-orch resume ID` continues it',
  already: 'is paused already; `sa-orch resume ID` continues it',
};

const RESUME: Control = {
  name: 'resume',
  mode: 'run',
  description: 'continue a paused sweep',
  done: 'resumed; `sa-orch watch ID` follows it',
  already: 'is running already; `sa-orch watch ID` follows it',
};

const CANCEL: Control = {
  name: 'cancel',
  mode: 'cancel',
  description:
    'end a sweep, or one trial of it; what is finished keeps its results, and `start` reruns the ' +
    'rest',
  done: 'is being cancelled',
  already: 'is being cancelled already',
};

export const pauseCommand = (): Command => modeCommand(PAUSE);
export const resumeCommand = (): Command => modeCommand(RESUME);
export const cancelCommand = (): Command =>
  modeCommand(CANCEL)
    .option(
      '--force',
      'end a sweep whose worker or trainer is gone for good; a job that a trainer is running for ' +
        'it goes on',
    )
    .option('--sweep <sweep>', 'of a trial: the sweep that is meant, of several that have it');

function modeCommand(control: Control): Command {
  const isCancel = control.mode === 'cancel';
  const command = new Command(control.name)
    .description(control.description)
    .argument(
      isCancel ? '<sweep|trial>' : '<sweep>',
      'the id that `start` printed, or its beginning; `sa-orch status` lists them',
    )
    .addHelpText(
      'after',
      `\nExample:\n  sa-orch ${control.name} glue-7f3a12cd` +
        (isCancel ? '\n  sa-orch cancel t0123          a trial: its sweep goes on without it' : ''),
    );
  return addJsonOption(addPlaceOptions(command)).action((word: string, options: ControlOptions) =>
    runAction(options.json === true, async () => {
      const sweep = isCancel
        ? await findTarget(word, options, (result) => result === null)
        : { ...(await findSweep(word, options, listOpenIds)), trial: null };
      if (sweep.trial !== null)
        return cancelTrial({ ...sweep, trial: sweep.trial }, options.json === true);
      const { before, said } = await setModeOf(sweep, control, options.force === true);
      const { sweepId } = sweep;
      if (options.json) printJson({ sweep_id: sweepId, mode: control.mode, before });
      else printText(`${sweepId} ${said.replaceAll('ID', quoteWord(sweepId))}\n`);
      if (control.mode === 'cancel' && before !== 'cancel' && before !== null && !options.json)
        await sayTrainerAway(sweep);
    }),
  );
}

/** before: null if it is not known. */
interface Answer {
  before: Mode | null;
  said: string;
}

/** @throws UserError if the sweep has ended (exit 2), or its server or worker is away (exit 3) */
async function setModeOf(sweep: FoundSweep, control: Control, force: boolean): Promise<Answer> {
  const { sweepId, root, stateDir } = sweep;
  const client = await connectTemporal(stateDir).catch(async (error: unknown) => {
    if (!hasPlan(root, sweepId)) throw error;
    const { end } = await describeEnd(root, sweepId, 'unknown');
    if (end !== 'complete' && end !== 'cancelled') throw error;
    return undefined;
  });
  if (client === undefined) return answerEnded(sweep, control, 'unknown');
  try {
    const isLost =
      !hasPlan(root, sweepId) &&
      (await findOpenQueue(client, sweepId)) === readRuntimeConfig(stateDir)?.taskQueue;
    if (control.mode === 'cancel' && (force || isLost)) {
      if (await terminateSweep(client, sweepId, 'sa-orch cancel'))
        return { before: null, said: isLost ? 'ended: its files were removed' : 'ended' };
      return await answerEnded(sweep, control, 'unknown');
    }
    const before = await setMode(client, sweep, control.mode);
    return { before, said: before === control.mode ? control.already : control.done };
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return await answerEnded(sweep, control, (await workflowState(client, sweepId)).state);
  } finally {
    await client.connection.close();
  }
}

/** To cancel what was cancelled changes nothing; any other request comes too late. */
async function answerEnded(
  { root, sweepId }: FoundSweep,
  { mode, name }: Control,
  state: Awaited<ReturnType<typeof workflowState>>['state'],
): Promise<Answer> {
  const { end, sentence } = await describeEnd(root, sweepId, state);
  if (mode === 'cancel' && end === 'cancelled')
    return { before: 'cancel', said: sentence.slice(sweepId.length + 1) };
  const hint =
    end === 'complete' || end === 'finished'
      ? `\`sa-orch report ${quoteWord(sweepId)}\` shows its table.`
      : `The \`sa-orch ${await beganWith(root, sweepId)}\` that began it runs what is left.`;
  throw new UserError(`${sentence}, so there is nothing to ${name}`, 2, hint);
}

/**
 * Sets a sweep's mode and returns the previous one.
 *
 * @throws UserError if it is being cancelled (exit 2), or no worker responds (exit 3)
 */
async function setMode(
  client: Client,
  { sweepId, root, stateDir }: FoundSweep,
  mode: Mode,
): Promise<Mode> {
  try {
    return await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).executeUpdate(setModeUpdate, { args: [mode] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) {
      const name = mode === 'run' ? 'resumed' : 'paused';
      throw new UserError(
        `${sweepId} is being cancelled, so it cannot be ${name}`,
        2,
        `Once it has ended, the \`sa-orch ${await beganWith(root, sweepId)}\` that began it runs ` +
          'what is left.',
      );
    }
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
async function sayTrainerAway({ sweepId, stateDir }: FoundSweep): Promise<void> {
  const root = readRuntimeConfig(stateDir)?.root;
  const trainers = root === undefined ? [] : (await readTrainers(root)).trainers;
  const asks = trainers.map((trainer) => askCapabilities(trainer, TRAINER_MS));
  const answers = await Promise.allSettled(asks);
  const away = trainers.filter((_, index) => answers[index]!.status === 'rejected');
  if (away.length < trainers.length || away.length === 0) return;
  const who =
    away.length === 1
      ? `the trainer at ${away[0]!.address} does not answer; the sweep ends when it does`
      : `none of ${plural(away.length, 'trainer')} answers; the sweep ends when one does`;
  printNote(
    `${who}\n` +
      `  If it is gone for good, \`sa-orch cancel --force ${quoteWord(sweepId)}\` ends the sweep ` +
      'now.\n',
  );
}
