/** A trainer that runs as long as one command needs it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WRAPPER_VARIABLE } from '../../common/wrapper';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { tailLog } from '../runtime/log-file';
import { setUpTrainer, trainerArguments, type Framework } from '../runtime/trainer-command';
import { connectTrainer, type TrainerClient } from '../trainer-client/client';

interface OwnTrainerOptions {
  root: string;
  framework: Framework;
  python?: string;
  device?: DeviceName;
  threads?: number;
  onProgress: OnProgress;
}

/** Loading PyTorch takes seconds; on a cold disk, many. */
const START_MS = 180_000;
const LOOK_MS = 1000;

/** Starts a trainer, lets `work` use it, and stops it. */
export async function withOwnTrainer<T>(
  { root, framework, python, device, threads, onProgress }: OwnTrainerOptions,
  work: (trainer: TrainerClient) => Promise<T>,
): Promise<T> {
  const command = await setUpTrainer(framework, { python, onProgress });
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-'));
  const log = join(folder, 'log');
  mkdirSync(root, { recursive: true });
  const address = `unix:${join(folder, 'trainer.sock')}`;
  const args = trainerArguments(
    ...([address, root, join(folder, 'state')] as const),
    device ?? null,
    threads ?? null,
    null,
  );
  const output = openSync(log, 'w');
  const child = spawn(command.file, [...command.args, ...args], {
    env: { ...process.env, ...command.env, [WRAPPER_VARIABLE]: String(process.pid) },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.on('exit', () => resolve());
  });
  const trainer = connectTrainer(address);
  try {
    await waitForTrainer(trainer, ended, log);
    return await work(trainer);
  } finally {
    trainer.close();
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function waitForTrainer(
  trainer: TrainerClient,
  ended: Promise<void>,
  log: string,
): Promise<void> {
  let isOver = false;
  void ended.then(() => (isOver = true));
  for (const begin = Date.now(); ;) {
    try {
      return await trainer.waitForReady(new Date(Date.now() + LOOK_MS));
    } catch {
      if (!isOver && Date.now() - begin < START_MS) continue;
      throw new UserError(`the trainer did not start:\n  ${tailLog(log, 6).join('\n  ')}`, 3);
    }
  }
}
