/**
 * Finds the Python that runs the torch trainer: an environment that we create, or an interpreter
 * that the user names.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { quoteWord } from '../base/shell-quote';
import { detectGpu } from './gpu';
import { ensurePythonContract } from './python-contract';
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
import { findOnPath, runCommand } from './run-command';

export interface TrainerEnvironment {
  /** The interpreter. */
  python: string;
  /**
   * To add to its environment variables: PYTHONPATH with the trainer and the generated contract.
   */
  env: { PYTHONPATH: string };
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
  const interpreter = own ? (findOnPath(own) ?? own) : await ensurePinnedEnvironment(onProgress);
  const description = await checkVersions(interpreter, own !== undefined);
  const contract = await ensurePythonContract(interpreter);
  const pythonPath = [
    TRAINER,
    contract,
    ...(own && process.env.PYTHONPATH ? [process.env.PYTHONPATH] : []),
  ].join(':');
  return { python: interpreter, env: { PYTHONPATH: pythonPath }, description };
}

/**
 * The same with what tests and benchmarks also need (pytest, ruff, mypy, scikit-learn, accelerate).
 */
export async function ensureTestEnvironment(
  options: EnvironmentOptions,
): Promise<TrainerEnvironment> {
  const environment = await ensureTrainerEnvironment(options);
  const own = options.python ?? process.env.SA_ORCH_PYTHON;
  if (own) return environment;
  const inTrainer = new Set(pinned('requirements.txt').map(({ name }) => name));
  const extra = pinned('requirements-test.txt').filter(({ name }) => !inTrainer.has(name));
  const text = extra.map((requirement) => requirement.text).join('\n');
  const folder = join(environment.python, '..', '..', 'test-packages', digestText(text));
  await buildOnce(folder, 'test environment', options.onProgress, async () => {
    options.onProgress('…', 'test environment', `installing ${extra.length} packages`);
    mkdirSync(folder, { recursive: true });
    const requirements = join(folder, 'requirements.txt');
    writeFileSync(requirements, `${text}\n`);
    await installRequirements(
      environment.python,
      requirements,
      'the test packages',
      join(folder, 'install.log'),
    );
    return { packages: extra.length };
  });
  return environment;
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
export async function checkVersions(python: string, own: boolean): Promise<string> {
  const { status, stdout, stderr } = await runCommand(
    python,
    ['-c', VERSIONS_PROBE, ...Object.keys(MINIMUM)],
    { timeoutMs: 60_000 },
  );
  const makeAnew = `Remove ${dirname(dirname(python))} and try again to recreate it.`;
  if (status !== 0) {
    const hint = own ? 'Name a Python interpreter with --python or SA_ORCH_PYTHON.' : makeAnew;
    throw new UserError(`${python} is not a working Python: ${stderr.trim()}`, 2, hint);
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
      ? `Install them there (${quoteWord(python)} -m pip install …), ` +
        'or leave out --python and SA_ORCH_PYTHON to use an environment created on first use.'
      : makeAnew;
    throw new UserError(
      `${python} does not have packages that the torch trainer needs: ${lacks.join(', ')}`,
      2,
      hint,
    );
  }
  return `Python ${version}, torch ${packages.torch}, transformers ${packages.transformers}`;
}

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
