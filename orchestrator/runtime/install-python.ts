/**
 * Installs pinned Python packages with `uv` where it is on PATH, else with venv and pip. Every file
 * that is installed must have one of the hashes in the requirement file, whatever index or mirror
 * it comes from; the index is the user's own setting.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { writeDurablySync } from '../../common/durable-files';
import { withLock } from '../../common/lock-file';
import { tailLog } from './log-file';
import { findBasePython, findInterpreters } from './python';
import { findOnPath, runCommand } from './run-command';

/** An installer step that failed; the last lines of its log say why. */
function installFailed(what: string, log: string): UserError {
  const offline =
    'Is the package index reachable? A mirror is set with PIP_INDEX_URL (pip) or ' +
    'UV_DEFAULT_INDEX (uv).';
  return new UserError(
    `${what} could not be installed:\n  ${tailLog(log, 6).join('\n  ')}`,
    3,
    `${offline}\nThe whole log: ${log}`,
  );
}

const locateMarker = (folder: string): string => join(folder, '.complete.json');

/** Whether a folder was made to its end. */
export function isComplete(folder: string): boolean {
  return existsSync(locateMarker(folder));
}

/**
 * What was said of a folder as it was made; undefined where it was not made to its end. T: what its
 * `build` returned.
 */
export function readComplete<T extends object>(folder: string): T | undefined {
  return isComplete(folder)
    ? (JSON.parse(readFileSync(locateMarker(folder), 'utf8')) as T)
    : undefined;
}

/**
 * Makes a folder exactly once per machine user, whoever asks and however often: builds under a
 * lock, then writes a marker with what `build` says of it. A folder without its marker was left by
 * a process that died and is built anew. (A virtual environment cannot be renamed into place: its
 * scripts know its path.)
 */
export async function buildOnce(
  folder: string,
  label: string,
  onProgress: OnProgress,
  build: () => Promise<object>,
): Promise<void> {
  if (isComplete(folder)) return;
  mkdirSync(dirname(folder), { recursive: true });
  const onWait = (holder: { pid: number }): void =>
    onProgress('…', label, `another process (${holder.pid}) is setting it up`);
  return withLock(`${folder}.lock`, onWait, async () => {
    if (isComplete(folder)) return;
    rmSync(folder, { recursive: true, force: true });
    writeDurablySync(locateMarker(folder), JSON.stringify(await build()));
  });
}

/** Makes a virtual environment, with its interpreter at bin/python. */
export async function createEnvironment(folder: string, log: string): Promise<void> {
  const uv = findOnPath('uv');
  const base = await findBasePython(uv === undefined);
  const python = join(folder, 'bin', 'python');
  const made = uv
    ? await runCommand(uv, ['venv', '--no-project', '--python', base.path, folder], { log })
    : await runCommand(base.path, ['-m', 'venv', folder], { log });
  if (made.status !== 0 || !existsSync(python))
    throw installFailed(`a virtual environment of ${base.path}`, log);
}

/** Installs a whole closure into an environment; nothing that the file does not list. */
export async function installRequirements(
  python: string,
  requirements: string,
  what: string,
  log: string,
): Promise<void> {
  const uv = findOnPath('uv');
  const options = ['--require-hashes', '--no-deps', '-r', requirements];
  const done = uv
    ? await runCommand(uv, ['pip', 'install', '--python', python, ...options], { log })
    : await runCommand(
        python,
        ['-m', 'pip', 'install', '--disable-pip-version-check', ...options],
        { log },
      );
  if (done.status !== 0) throw installFailed(what, log);
}

/**
 * Installs PyTorch's CPU build, a tenth of the size of the CUDA build, where `uv` is there (it
 * knows PyTorch's own index) and that index answers. False where it could not be had.
 *
 * This one package is checked by its version and by TLS to PyTorch's own index, not by a hash of
 * ours: the index gives the build a version and hashes of its own that the hashes of the public
 * package index's build cannot match. Everything else in the environment is checked by hash.
 */
export async function installCpuTorch(
  python: string,
  version: string,
  log: string,
): Promise<boolean> {
  const uv = findOnPath('uv');
  if (uv === undefined) return false;
  const args = [
    'pip',
    'install',
    '--python',
    python,
    '--torch-backend=cpu',
    '--no-deps',
    `torch==${version}`,
  ];
  // Where the index is out of reach this must not hold up a first run for minutes.
  const env = { ...process.env, UV_HTTP_CONNECT_TIMEOUT: '5', UV_HTTP_RETRIES: '0' };
  const { status } = await runCommand(uv, args, { log, env, timeoutMs: 600_000 });
  return status === 0;
}

/** Which build of a wheel is wanted, where it is not the one for the Python that installs it. */
export interface WheelTags {
  /** For example `3.12`. */
  python: string;
  platform: string;
}

/** Unpacks one pinned wheel, without its dependencies, into the cache. Returns its folder. */
export async function ensureWheel(
  requirements: string,
  folder: string,
  label: string,
  onProgress: OnProgress,
): Promise<string> {
  await buildOnce(folder, label, onProgress, async () => {
    onProgress('…', label, 'downloading, once');
    const log = `${folder}.log`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(log, '');
    if (!(await installWheel(requirements, folder, log))) throw installFailed(label, log);
    return { requirements };
  });
  return folder;
}

/**
 * Unpacks one pinned wheel, without its dependencies, into a folder. False where it could not be
 * had; the log says why.
 *
 * @throws UserError (exit 2) where nothing is there that installs wheels
 */
export async function installWheel(
  requirements: string,
  folder: string,
  log: string,
  tags?: WheelTags,
): Promise<boolean> {
  const options = ['--target', folder, '--require-hashes', '--no-deps', '-r', requirements];
  const installer = await findWheelInstaller();
  if (!installer)
    throw new UserError(`${basename(requirements, '.txt')}: ${NO_INSTALLER}`, 2, GET_INSTALLER);
  if (tags) options.push('--only-binary=:all:', '--python-version', tags.python);
  const { status } = installer.isUv
    ? await runCommand(
        installer.path,
        [
          'pip',
          'install',
          ...options,
          ...(tags ? ['--python-platform', uvPlatform(tags.platform)] : []),
        ],
        {
          log,
        },
      )
    : await runCommand(
        installer.path,
        [
          '-m',
          'pip',
          'install',
          '--disable-pip-version-check',
          ...options,
          ...(tags ? ['--platform', tags.platform] : []),
        ],
        { log },
      );
  return status === 0;
}

export const NO_INSTALLER = 'neither uv nor a Python with pip is on PATH';
export const GET_INSTALLER = 'Install uv, or pip (Debian, Ubuntu: apt install python3-pip).';

/** What installs wheels here: uv, else a Python that has pip. */
export async function findWheelInstaller(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ path: string; isUv: boolean } | undefined> {
  const uv = findOnPath('uv', env);
  if (uv) return { path: uv, isUv: true };
  const python = (await findInterpreters(env)).find(({ hasPip }) => hasPip);
  return python && { path: python.path, isUv: false };
}

/** `manylinux_2_27_x86_64` as uv writes it: `x86_64-manylinux_2_27`. */
function uvPlatform(platform: string): string {
  return platform.replace(/^(manylinux_\d+_\d+)_(.+)$/, '$2-$1');
}
