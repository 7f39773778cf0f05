/** Where things are on this machine: a checkout's state, the artifact root, the cache, sockets. */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { explainSystemError, isSystemError } from '../../common/system-errors';
import { UserError } from '../base/errors';

type Env = Readonly<Record<string, string | undefined>>;

/** The longest socket path that Linux accepts, in bytes. Node silently cuts longer ones. */
const MAX_SOCKET_PATH = 107;

/** Where they are in a working directory if nobody says otherwise. */
export const USUAL = { root: 'checkpoints', stateDir: '.sa-orch' } as const;

/**
 * Absolute directory for the state of one checkout (database, logs, process ids): the option, else
 * SA_ORCH_STATE, else `.sa-orch` in the working directory.
 */
export function stateDirectory(option?: string, env: Env = process.env): string {
  return resolve(option ?? env.SA_ORCH_STATE ?? USUAL.stateDir);
}

/**
 * Absolute artifact root (datasets, trials, sweeps): the option, else SA_ORCH_ROOT, else
 * `checkpoints` in the working directory.
 */
export function artifactRoot(option?: string, env: Env = process.env): string {
  return resolve(option ?? env.SA_ORCH_ROOT ?? USUAL.root);
}

/**
 * Absolute home directory of this user.
 *
 * @throws UserError (exit 2) if there is none: a container's user may have no name, and HOME may be
 *   empty
 */
export function homeDirectory(env: Env = process.env): string {
  let home = '';
  try {
    home = env.HOME ?? homedir();
  } catch {
    // Nothing knows this user.
  }
  if (!isAbsolute(home))
    throw new UserError('there is no home directory', 2, 'Set HOME or SA_ORCH_CACHE=<dir>.');
  return home;
}

/**
 * Directory for what is made once per user (environments, binaries, backbones): SA_ORCH_CACHE, else
 * `sa-orch` in $XDG_CACHE_HOME or ~/.cache.
 *
 * @throws UserError (exit 2) if that needs a home directory and there is none
 */
export function cacheDirectory(env: Env = process.env): string {
  if (env.SA_ORCH_CACHE) return resolve(env.SA_ORCH_CACHE);
  return join(env.XDG_CACHE_HOME || join(homeDirectory(env), '.cache'), 'sa-orch');
}

/**
 * The path of a unix socket that belongs to a state directory. It is never inside the checkout,
 * whose path may be long, but in $XDG_RUNTIME_DIR. If that is not set or cannot be used (`su` and
 * batch systems leave that of another user, or of a session that is over), in a folder in /tmp that
 * only this user can enter.
 *
 * @throws UserError if neither folder can be used
 */
export function socketPath(stateDir: string, name: string, env: Env = process.env): string {
  const uid = process.getuid?.() ?? 0;
  const own = createHash('sha256').update(stateDir).digest('hex').slice(0, 12);
  const { XDG_RUNTIME_DIR: runtime } = env;
  const bases = [runtime ? join(runtime, 'sa-orch') : undefined, `/tmp/sa-orch-${uid}`];
  let why = '';
  for (const base of bases.filter((each) => each !== undefined)) {
    const path = join(base, own, name);
    const misfit = findMisfit(path, base, uid);
    if (misfit === undefined) return path;
    why = misfit;
  }
  throw new UserError(
    `there is no folder for the trainer's socket: ${why}`,
    2,
    'Set XDG_RUNTIME_DIR to a folder of your own with a short path.',
  );
}

/** Why a socket cannot be at this path, whose folders are made. */
function findMisfit(path: string, base: string, uid: number): string | undefined {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    return `${path} has more than ${MAX_SOCKET_PATH} bytes`;
  // What lies above it is not ours to make.
  if (!existsSync(dirname(base))) return `${dirname(base)} does not exist`;
  for (const folder of [base, dirname(path)]) {
    try {
      makeFolder(folder, 0o700);
      accessSync(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return explainSystemError(error).message;
    }
    const found = lstatSync(folder);
    const othersMayWrite = (found.mode & 0o022) !== 0;
    if (!found.isDirectory() || found.uid !== uid || othersMayWrite)
      return `${folder} is not a folder that only you can write to`;
  }
  return undefined;
}
