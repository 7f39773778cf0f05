/** Finds Python interpreters and what they can do. */
import { UserError } from '../base/errors';
import { findOnPath, runCommand } from './run-command';

export interface Interpreter {
  path: string;
  /** [major, minor, micro]. */
  version: readonly [number, number, number];
  /**
   * Whether it can create virtual environments with pip. On Debian and Ubuntu, Python alone cannot.
   */
  hasVenv: boolean;
  hasPip: boolean;
}

/**
 * Versions that the pinned PyTorch has wheels for: from the first up to, but excluding, the second.
 */
const PINNED_MIN = [3, 11] as const;
const PINNED_END = [3, 15] as const;

const CANDIDATES = ['python3.12', 'python3.11', 'python3.13', 'python3.14', 'python3', 'python'];

const PROBE = `
import importlib.util, json, sys
have = lambda name: importlib.util.find_spec(name) is not None
print(json.dumps({
    "path": sys.executable,
    "version": sys.version_info[:3],
    "hasVenv": have("venv") and have("ensurepip"),
    "hasPip": have("pip"),
}))
`;

/**
 * Asks an interpreter about itself; undefined if it does not work (a version manager's shim, for
 * example).
 */
export async function probeInterpreter(path: string): Promise<Interpreter | undefined> {
  const { status, stdout } = await runCommand(path, ['-I', '-c', PROBE], { timeoutMs: 20_000 });
  return status === 0 && stdout.startsWith('{') ? (JSON.parse(stdout) as Interpreter) : undefined;
}

/** All interpreters on PATH under their usual names, each once. */
export async function findInterpreters(
  env: NodeJS.ProcessEnv = process.env,
): Promise<Interpreter[]> {
  const found = new Map<string, Interpreter>();
  for (const name of CANDIDATES) {
    const path = findOnPath(name, env);
    const interpreter = path === undefined ? undefined : await probeInterpreter(path);
    if (interpreter && !found.has(interpreter.path)) found.set(interpreter.path, interpreter);
  }
  return [...found.values()];
}

/**
 * Finds the interpreter from which to create the trainer's environment.
 *
 * @param needsVenv false if `uv` creates the environment, which needs no venv module
 * @throws UserError (exit 2) naming what was found and what to install
 */
export async function findBasePython(
  needsVenv: boolean,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Interpreter> {
  const found = await findInterpreters(env);
  const fitting = found.filter(({ version }) => isPinnedVersion(version));
  const usable = fitting.find(({ hasVenv }) => hasVenv || !needsVenv);
  if (usable) return usable;
  const range = `Python ${PINNED_MIN.join('.')} or newer, before ${PINNED_END.join('.')}`;
  const ownWay =
    'Or name an interpreter that already has PyTorch: --python <path>, or SA_ORCH_PYTHON.';
  const [first] = fitting;
  if (first) {
    const minor = `${first.version[0]}.${first.version[1]}`;
    throw new UserError(
      `${first.path} (Python ${minor}) cannot create virtual environments: ` +
        'its venv module is missing',
      2,
      `Install it (Debian, Ubuntu: apt install python${minor}-venv) or install uv.\n${ownWay}`,
    );
  }
  const have = found.map(({ path, version }) => `${path} is ${version.join('.')}`).join(', ');
  throw new UserError(
    `the PyTorch trainer needs ${range}; ${have || 'no Python is on PATH'}`,
    2,
    `Install a Python in that range.\n${ownWay}`,
  );
}

function isPinnedVersion([major, minor]: readonly [number, number, number]): boolean {
  return major === PINNED_MIN[0] && minor >= PINNED_MIN[1] && minor < PINNED_END[1];
}
