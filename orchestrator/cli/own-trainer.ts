/** A trainer that runs as long as one command needs it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { WRAPPER_VARIABLE } from '../../common/wrapper';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { tailLog } from '../runtime/log-file';
import {
  setUpTrainer,
  trainerArguments,
  type Framework,
  type TrainerCommand,
} from '../runtime/trainer-command';
import { connectTrainer, type TrainerClient } from '../trainer-client/client';

interface OwnTrainerOptions {
  root: string;
  framework: Framework;
  python?: string;
  device?: DeviceName;
  threads?: number;
  /** Ends the wait for the trainer's start. */
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** Loading PyTorch takes seconds; on a cold disk, many. */
const START_MS = 180_000;
const LOOK_MS = 1000;

/** How long it may take to stop. It stops at the end of a batch. */
const STOP_MS = 15_000;

/**
 * Starts a trainer, lets `work` use it, and stops it. Neither process nor files of it stay.
 *
 * @throws UserError (exit 3) if it does not start; the signal's reason once that is aborted
 */
export async function withOwnTrainer<T>(
  { root, framework, python, device, threads, signal, onProgress }: OwnTrainerOptions,
  work: (trainer: TrainerClient) => Promise<T>,
): Promise<T> {
  const command = await setUpTrainer(framework, { python, onProgress });
  signal.throwIfAborted();
  makeFolder(root);
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-'));
  try {
    const log = join(folder, 'log');
    const address = `unix:${join(folder, 'trainer.sock')}`;
    const args = trainerArguments(
      ...([address, root, join(folder, 'state')] as const),
      device ?? null,
      threads ?? null,
      null,
    );
    // Before there is a process, which would stay if this threw.
    const trainer = connectTrainer(address);
    try {
      const { child, ended } = startTrainer(command, args, log);
      try {
        await waitForTrainer(trainer, ended, log, signal);
        return await work(trainer);
      } finally {
        await stopTrainer(child, ended);
      }
    } finally {
      trainer.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startTrainer(
  command: TrainerCommand,
  args: readonly string[],
  log: string,
): { child: ChildProcess; ended: Promise<void> } {
  const output = openSync(log, 'w');
  try {
    const child = spawn(command.file, [...command.args, ...args], {
      env: { ...process.env, ...command.env, [WRAPPER_VARIABLE]: String(process.pid) },
      stdio: ['ignore', output, output],
    });
    const ended = new Promise<void>((resolve) => {
      child.on('error', () => resolve());
      child.on('exit', () => resolve());
    });
    return { child, ended };
  } finally {
    closeSync(output);
  }
}

async function stopTrainer(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

async function waitForTrainer(
  trainer: TrainerClient,
  ended: Promise<void>,
  log: string,
  signal: AbortSignal,
): Promise<void> {
  let isOver = false;
  void ended.then(() => (isOver = true));
  for (const begin = Date.now(); ;) {
    signal.throwIfAborted();
    try {
      return await trainer.waitForReady(new Date(Date.now() + LOOK_MS));
    } catch {
      if (!isOver && Date.now() - begin < START_MS) continue;
      signal.throwIfAborted();
      throw new UserError(`the trainer did not start:\n  ${tailLog(log, 6).join('\n  ')}`, 3);
    }
  }
}
