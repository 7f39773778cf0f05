/**
 * Finds the Python that runs the torch trainer: an environment that we create, or an interpreter
 * that the user names.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { quoteWord } from '../base/shell-quote';
import { detectGpu } from './gpu';
import { isolate, isolateOwn, runIsolated, type IsolatedPython } from './isolated-python';
import { ensurePythonContract, PYTHON_CONTRACT } from './python-contract';
import {
  buildOnce,
  createEnvironment,
  installCpuTorch,
  installRequirements,
  isComplete,
} from './install-python';
import { packageRoot } from '../../common/package';
import { cacheDirectory } from './paths';
import { isCudaOnly, parseRequirements } from './requirements';

export interface TrainerEnvironment {
  python: IsolatedPython;
  /** For people to read: `Python 3.12.3, torch 2.15.0+cpu, transformers 5.23.0`. */
  description: string;
}

interface EnvironmentOptions {
  /** The user's own interpreter; SA_ORCH_PYTHON by default. */
  python?: string;
  onProgress: OnProgress;
}

const LABEL = 'trainer environment';
const TRAINER = join(packageRoot(), 'trainer', 'torch');

/**
 * Oldest versions that the trainer is tested with, by package name. The pinned environment has the
 * newest.
 */
const MINIMUM: Record<string, string> = {
  torch: '2.11',
  transformers: '5.17',
  safetensors: '0.5',
  numpy: '1.26',
  grpcio: '1.70',
  'grpcio-tools': '1.70',
  'grpcio-health-checking': '1.70',
  'grpcio-reflection': '1.70',
  'grpcio-status': '1.70',
};

/** Long enough for a cold network disk. */
const ANSWER_MS = 60_000;

const VERSIONS_PROBE = `
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
def found(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
packages = {name: found(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), "packages": packages}))
`;

/**
 * Finds or creates the trainer's Python environment. The first time takes minutes (PyTorch is
 * large); after that, it only checks for a marker file.
 *
 * @throws UserError (exit 2) listing everything that the named interpreter does not have; (exit 3)
 *   if packages are unavailable
 */
export async function ensureTrainerEnvironment({
  python,
  onProgress,
}: EnvironmentOptions): Promise<TrainerEnvironment> {
  const own = python ?? process.env.SA_ORCH_PYTHON;
  const interpreter = own ? isolateOwn(own) : isolate(await ensurePinnedEnvironment(onProgress));
  const description = await checkVersions(interpreter, Boolean(own));
  await ensurePythonContract(interpreter);
  return { python: interpreter, description };
}

/**
 * The interpreter with what tests and benchmarks also need (pytest, ruff, mypy, scikit-learn,
 * accelerate), and the PYTHONPATH with which they find the trainer and the contract.
 */
export async function ensureTestEnvironment(
  options: EnvironmentOptions,
): Promise<{ python: string; env: { PYTHONPATH: string } }> {
  const { path: python } = (await ensureTrainerEnvironment(options)).python;
  const env = { PYTHONPATH: [TRAINER, PYTHON_CONTRACT].join(':') };
  const own = options.python ?? process.env.SA_ORCH_PYTHON;
  if (own) return { python, env };
  const inTrainer = new Set(pinned('requirements.txt').map(({ name }) => name));
  const extra = pinned('requirements-test.txt').filter(({ name }) => !inTrainer.has(name));
  const text = extra.map((requirement) => requirement.text).join('\n');
  const folder = join(dirname(dirname(python)), 'test-packages', digestText(text));
  await buildOnce(folder, 'test environment', options.onProgress, async () => {
    options.onProgress('…', 'test environment', `installing ${extra.length} packages`);
    makeFolder(folder);
    const requirements = join(folder, 'requirements.txt');
    writeFileSync(requirements, `${text}\n`);
    await installRequirements(
      python,
      requirements,
      'the test packages',
      join(folder, 'install.log'),
    );
    return { packages: extra.length };
  });
  return { python, env };
}

/** Libraries with which tests load exports, each in a folder of its own, by its requirements. */
const LIBRARIES = { peft: 'requirements-peft.txt', adapters: 'requirements-adapters.txt' } as const;

/**
 * The folders of the libraries with which tests load exports, for PYTHONPATH; what they need
 * besides is in the test environment, which they do not change. Nothing for a user's own
 * interpreter.
 */
export async function ensureTestLibraries(
  options: EnvironmentOptions,
): Promise<Partial<Record<keyof typeof LIBRARIES, string>>> {
  if (options.python ?? process.env.SA_ORCH_PYTHON) return {};
  const { python } = pinnedEnvironment();
  const folders: Partial<Record<keyof typeof LIBRARIES, string>> = {};
  for (const [name, file] of Object.entries(LIBRARIES) as [keyof typeof LIBRARIES, string][]) {
    const requirements = join(TRAINER, file);
    const digest = digestText(`${python} ${readFileSync(requirements, 'utf8')}`);
    const folder = join(cacheDirectory(), 'test-libraries', `${name}-${digest}`);
    await buildOnce(folder, name, options.onProgress, async () => {
      options.onProgress('…', name, 'installing for the tests, once');
      makeFolder(folder);
      await installRequirements(python, requirements, name, `${folder}.log`, folder);
      return { requirements: file };
    });
    folders[name] = folder;
  }
  return folders;
}

/**
 * The environment that we create: where it is or will be, whether it exists, and which build of
 * PyTorch it should have.
 */
export function pinnedEnvironment(env: NodeJS.ProcessEnv = process.env): PinnedEnvironment {
  const build = process.platform === 'linux' && !detectGpu() ? 'cpu' : 'default';
  const key = digestText(readFileSync(join(TRAINER, 'requirements.txt'), 'utf8'));
  const folder = join(cacheDirectory(env), 'python', `${key}-${build}`);
  return { folder, build, python: join(folder, 'bin', 'python'), isMade: isComplete(folder) };
}

interface PinnedEnvironment {
  folder: string;
  build: 'cpu' | 'default';
  /** Its interpreter. */
  python: string;
  isMade: boolean;
}

async function ensurePinnedEnvironment(onProgress: OnProgress): Promise<string> {
  const { folder, build, python } = pinnedEnvironment();
  const log = `${folder}.log`;
  await buildOnce(folder, LABEL, onProgress, async () => {
    writeFileSync(log, '');
    onProgress('…', LABEL, `PyTorch and Transformers, once; log in ${log}`);
    await createEnvironment(folder, log);
    const torch = pinned('requirements.txt').find(({ name }) => name === 'torch');
    const cpu =
      build === 'cpu' && torch !== undefined && (await installCpuTorch(python, torch.version, log));
    if (build === 'cpu' && !cpu)
      onProgress(
        '…',
        LABEL,
        'the CUDA build of PyTorch, about 6 GB on disk (the CPU build needs uv and its own index)',
      );
    const requirements = cpu ? withoutTorch(folder) : join(TRAINER, 'requirements.txt');
    await installRequirements(python, requirements, 'PyTorch and Transformers', log);
    return { build: cpu ? 'cpu' : 'default' };
  });
  return python;
}

function withoutTorch(folder: string): string {
  const rest = pinned('requirements.txt').filter(
    ({ name }) => name !== 'torch' && !isCudaOnly(name),
  );
  const path = join(folder, 'requirements-cpu.txt');
  writeFileSync(path, rest.map(({ text }) => `${text}\n`).join(''));
  return path;
}

function pinned(file: string): ReturnType<typeof parseRequirements> {
  return parseRequirements(readFileSync(join(TRAINER, file), 'utf8'));
}

function digestText(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * Reads installed versions without importing anything (PyTorch alone takes seconds). Returns them
 * as text for people.
 */
export async function checkVersions(python: IsolatedPython, own: boolean): Promise<string> {
  const { path } = python;
  const { status, stdout, stderr, end } = await runIsolated(
    python,
    ['-c', VERSIONS_PROBE, ...Object.keys(MINIMUM)],
    { timeoutMs: ANSWER_MS },
  );
  const makeAnew = `remove ${dirname(dirname(path))} and try again to recreate it.`;
  if (status !== 0 || !stdout.startsWith('{')) {
    const why = stderr.trim() || `it ${end} and said ${firstWords(stdout)}`;
    // Most likely the machine's fault or another program's, and then a new environment would fail
    // alike.
    const hint = own
      ? 'Name a Python interpreter (3.11 or newer) with --python or SA_ORCH_PYTHON.'
      : `If it does so in another terminal, too, ${makeAnew}`;
    throw new UserError(`${path} is not a working Python: ${why}`, 2, hint);
  }
  const { python: version, packages } = JSON.parse(stdout) as {
    python: string;
    packages: Record<string, string | null>;
  };
  const lacks = Object.entries(MINIMUM).flatMap(([name, minimum]) => {
    const found = packages[name];
    if (found && compareVersions(found, minimum) >= 0) return [];
    return [
      found
        ? `${name} ${found} (needs ${minimum} or newer)`
        : `${name} (not installed; needs ${minimum} or newer)`,
    ];
  });
  if (lacks.length > 0) {
    const hint = own
      ? `Install them there (${quoteWord(path)} -m pip install …), ` +
        'or leave out --python and SA_ORCH_PYTHON to use an environment created on first use.'
      : `To mend it, ${makeAnew}`;
    throw new UserError(
      `${path} does not have packages that the torch trainer needs: ${lacks.join(', ')}`,
      2,
      hint,
    );
  }
  return `Python ${version}, torch ${packages.torch}, transformers ${packages.transformers}`;
}

const firstWords = (text: string): string =>
  text.trim() === '' ? 'nothing' : `"${text.trim().split('\n')[0]!.slice(0, 80)}"`;

/** Compares the leading numbers of two versions; negative if `a` is older. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string): number[] =>
    (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
