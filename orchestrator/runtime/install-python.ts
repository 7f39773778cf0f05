/**
 * Installs pinned Python packages with `uv` if it is on PATH, else with venv and pip. Every
 * installed file must match a hash in the requirement file, whichever index or mirror the user has
 * set.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { UserError } from '../base/errors';
import { parseObject } from '../base/parse-object';
import type { OnProgress } from '../base/progress';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { withLock } from '../../common/lock-file';
import { installerEnvironment } from './isolated-python';
import { tailLog } from './log-file';
import { findBasePython, findInterpreters } from './python';
import { findOnPath, runCommand, type CommandOptions, type CommandResult } from './run-command';

/** The error for a failed installer step, with the last lines of its log. */
function installFailed(what: string, log: string): UserError {
  const offline =
    'Is the package index reachable? To use a mirror, set PIP_INDEX_URL (pip) or ' +
    'UV_DEFAULT_INDEX (uv).';
  return new UserError(
    `${what} could not be installed:\n  ${tailLog(log, 6).join('\n  ')}`,
    3,
    `${offline}\nThe whole log: ${log}`,
  );
}

const locateMarker = (folder: string): string => join(folder, '.complete.json');

/** Whether a folder is complete. */
export function isComplete(folder: string): boolean {
  return existsSync(locateMarker(folder));
}

/** What `build` returned for a folder, of type T; undefined if the folder is not complete. */
export function readComplete<T extends object>(folder: string): T | undefined {
  const marker = locateMarker(folder);
  const text = readIfThere(marker);
  return text === undefined ? undefined : parseObject<T>(marker, text);
}

/**
 * Makes a folder exactly once per user, however many processes ask: builds it under a lock, then
 * writes a marker with what `build` returns. A folder without a marker was left by a process that
 * died, and is rebuilt. (A virtual environment cannot be renamed into place because its scripts
 * contain its path.)
 */
export async function buildOnce(
  folder: string,
  label: string,
  onProgress: OnProgress,
  build: () => Promise<object>,
): Promise<void> {
  if (isComplete(folder)) return;
  makeFolder(dirname(folder));
  const onWait = (holder: { pid: number }): void =>
    onProgress('…', label, `another process (${holder.pid}) is setting it up`);
  return withLock(`${folder}.lock`, onWait, async () => {
    if (isComplete(folder)) return;
    rmSync(folder, { recursive: true, force: true });
    writeDurablySync(locateMarker(folder), JSON.stringify(await build()));
  });
}

/**
 * Runs uv in the log's folder: it would read a pyproject.toml or uv.toml of the working directory.
 */
function runUv(
  uv: string,
  args: string[],
  log: string,
  options: Pick<CommandOptions, 'timeoutMs'> & { set?: Record<string, string> } = {},
): Promise<CommandResult> {
  const env = { ...installerEnvironment(process.env), ...options.set };
  return runCommand(uv, args, { log, env, cwd: dirname(log), timeoutMs: options.timeoutMs });
}

/** Runs a module of a Python that has none of our packages, such as pip. */
function runModule(python: string, args: string[], log: string): Promise<CommandResult> {
  const env = installerEnvironment(process.env);
  return runCommand(python, ['-I', '-m', ...args], { log, env });
}

/** Creates a virtual environment, with its interpreter at bin/python. */
export async function createEnvironment(folder: string, log: string): Promise<void> {
  const uv = findOnPath('uv');
  const base = await findBasePython(uv === undefined);
  const python = join(folder, 'bin', 'python');
  const made = uv
    ? await runUv(uv, ['venv', '--no-project', '--python', base.path, folder], log)
    : await runModule(base.path, ['venv', folder], log);
  if (made.status !== 0 || !existsSync(python))
    throw installFailed(`a virtual environment with ${base.path}`, log);
}

/**
 * Installs what the file lists, and nothing else: the whole closure of an environment.
 *
 * @param target a folder for it beside the environment, which then stays as it is
 */
export async function installRequirements(
  python: string,
  requirements: string,
  what: string,
  log: string,
  target?: string,
): Promise<void> {
  const uv = findOnPath('uv');
  const beside = target === undefined ? [] : ['--target', target];
  const options = [...beside, '--require-hashes', '--no-deps', '-r', requirements];
  const done = uv
    ? await runUv(uv, ['pip', 'install', '--python', python, ...options], log)
    : await runModule(python, ['pip', 'install', '--disable-pip-version-check', ...options], log);
  if (done.status !== 0) throw installFailed(what, log);
}

/**
 * Installs PyTorch's CPU build, a tenth of the size of the CUDA build. Needs `uv`, which knows
 * PyTorch's own index, and an answer from that index. Returns whether it succeeded.
 *
 * This one package is checked by its version and by TLS to PyTorch's own index. Our hashes are of
 * the public package index's build, which is a different one. Everything else in the environment is
 * checked by hash.
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
  // An unreachable index must not delay a first run by minutes.
  const set = { UV_HTTP_CONNECT_TIMEOUT: '5', UV_HTTP_RETRIES: '0' };
  const { status } = await runUv(uv, args, log, { set, timeoutMs: 600_000 });
  return status === 0;
}

/** Which build of a wheel to install, if not the one for the installing Python. */
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
    makeFolder(folder);
    writeFileSync(log, '');
    if (!(await installWheel(requirements, folder, log))) throw installFailed(label, log);
    return { requirements };
  });
  return folder;
}

/**
 * Unpacks one pinned wheel, without its dependencies, into a folder. Returns whether it succeeded;
 * if not, the log says why.
 *
 * @throws UserError (exit 2) if there is no installer of wheels
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
    ? await runUv(
        installer.path,
        [
          'pip',
          'install',
          ...options,
          ...(tags ? ['--python-platform', uvPlatform(tags.platform)] : []),
        ],
        log,
      )
    : await runModule(
        installer.path,
        [
          'pip',
          'install',
          '--disable-pip-version-check',
          ...options,
          ...(tags ? ['--platform', tags.platform] : []),
        ],
        log,
      );
  return status === 0;
}

export const NO_INSTALLER = 'neither uv nor a Python with pip is on PATH';
export const GET_INSTALLER = 'Install uv, or pip (Debian, Ubuntu: apt install python3-pip).';

/** Finds an installer of wheels: uv, else a Python with pip. */
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
