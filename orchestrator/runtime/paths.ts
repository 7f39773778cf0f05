/** Where things are on this machine: a checkout's state, the artifact root, the cache, sockets. */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from '../base/errors';

type Env = Readonly<Record<string, string | undefined>>;

/** The longest socket path that Linux accepts, in bytes. Node silently cuts longer ones. */
const MAX_SOCKET_PATH = 107;

/**
 * Absolute directory for the state of one checkout (database, logs, process ids): the option, else
 * SA_ORCH_STATE, else `.sa-orch` in the working directory.
 */
export function stateDirectory(option?: string, env: Env = process.env): string {
  return resolve(option ?? env.SA_ORCH_STATE ?? '.sa-orch');
}

/**
 * Absolute artifact root (datasets, trials, sweeps): the option, else SA_ORCH_ROOT, else
 * `checkpoints` in the working directory.
 */
export function artifactRoot(option?: string, env: Env = process.env): string {
  return resolve(option ?? env.SA_ORCH_ROOT ?? 'checkpoints');
}

/**
 * Directory for what is made once per user (environments, binaries, backbones): SA_ORCH_CACHE, else
 * `sa-orch` in $XDG_CACHE_HOME or ~/.cache.
 */
export function cacheDirectory(env: Env = process.env): string {
  if (env.SA_ORCH_CACHE) return resolve(env.SA_ORCH_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sa-orch');
}

/**
 * The path of a unix socket that belongs to a state directory. It is never inside the checkout,
 * whose path may be long, but in $XDG_RUNTIME_DIR or, if that is not set, in a folder in /tmp that
 * only this user can enter.
 *
 * @throws UserError if the path is too long for a socket, or its folder belongs to another user
 */
export function socketPath(stateDir: string, name: string, env: Env = process.env): string {
  const uid = process.getuid?.() ?? 0;
  const base = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'sa-orch') : `/tmp/sa-orch-${uid}`;
  const folder = join(base, createHash('sha256').update(stateDir).digest('hex').slice(0, 12));
  for (const part of [base, folder]) makePrivateFolder(part, uid);
  const path = join(folder, name);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new UserError(
      `the socket path ${path} has more than ${MAX_SOCKET_PATH} bytes`,
      2,
      'Set XDG_RUNTIME_DIR to a shorter folder.',
    );
  }
  return path;
}

function makePrivateFolder(folder: string, uid: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  const othersMayWrite = (found.mode & 0o022) !== 0;
  if (!found.isDirectory() || found.uid !== uid || othersMayWrite) {
    throw new UserError(
      `${folder} must be a folder that only you can write to`,
      2,
      'Remove it, or set XDG_RUNTIME_DIR to a folder of your own.',
    );
  }
}
