/**
 * Runs Python so that the user's folder and Python settings do not change what it imports: no
 * `random.py` of the working directory, no PYTHONHOME, PYTHONPATH or user site.
 */
import { isAbsolute, join, resolve } from 'node:path';
import { packageRoot } from '../../common/package';
import { findOnPath, runCommand, type CommandOptions, type CommandResult } from './run-command';

/** An interpreter, and what comes before the name of a module, or before `-c` and code. */
export interface IsolatedPython {
  path: string;
  args: string[];
}

/** Adds the folders of the trainer and of the contract, which isolated Python does not find. */
const BOOTSTRAP = join(packageRoot(), 'trainer', 'torch', 'isolated.py');

/** Unbuffered, and with files and arguments in UTF-8 whatever the locale is: as Node has them. */
const ALWAYS = ['-u', '-X', 'utf8', BOOTSTRAP];

/** The Python of an environment that we created: it needs nothing from outside. */
export function isolate(path: string): IsolatedPython {
  return { path, args: ['-I', ...ALWAYS] };
}

/**
 * A Python of the user's own. Its packages may be in a user site, or in the folders of PYTHONPATH
 * as in a cluster's modules, so these stay, but they cannot hide Python's own modules. Entries of
 * PYTHONPATH that depend on the working directory are left out.
 */
export function isolateOwn(
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): IsolatedPython {
  const folders = (env.PYTHONPATH ?? '').split(':').filter((folder) => isAbsolute(folder));
  return {
    path: absoluteInterpreter(name),
    args: [
      ...['-P', '-E', ...ALWAYS],
      ...(folders.length === 0 ? [] : ['--python-path', folders.join(':')]),
    ],
  };
}

/** `python3` as found on PATH, `./venv/bin/python` from here. */
export function absoluteInterpreter(name: string): string {
  return name.includes('/') ? resolve(name) : (findOnPath(name) ?? name);
}

/** Runs a module, or code after `-c`, to its end. */
export function runIsolated(
  { path, args: first }: IsolatedPython,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return runCommand(path, [...first, ...args], options);
}

/**
 * The environment for installers, pip and uv among them, and what they start: without Python's
 * settings, and without settings that would install elsewhere or something else. Indexes,
 * certificates and proxies stay.
 */
export function installerEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^PYTHON./.test(name) && !MISLEADING.has(name),
  );
  // Above all, stronger than `user = true` or `require-virtualenv = true` in pip's own files.
  return { ...Object.fromEntries(kept), PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0' };
}

const MISLEADING = new Set([
  ...['PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_PYTHON', 'PIP_CONSTRAINT', 'PIP_DRY_RUN'],
  ...['PIP_BUILD_CONSTRAINT', 'PIP_REQUIREMENT', 'PIP_EDITABLE', 'PIP_LOG'],
  ...['UV_TARGET', 'UV_PREFIX', 'UV_PYTHON', 'UV_SYSTEM_PYTHON', 'UV_CONSTRAINT', 'UV_OVERRIDE'],
  ...['UV_BUILD_CONSTRAINT', 'UV_EXCLUDE_NEWER', 'UV_WORKING_DIRECTORY', 'UV_WORKING_DIR'],
]);
