/**
 * Sets up TensorFlow.js with TensorFlow's C library, for the TensorFlow.js trainer: npm packages
 * from a separate lock file, a C library from wherever one is available, and the addon that joins
 * them, compiled once per user. The project's own installation needs none of it.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { packageRoot } from '../../common/package';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { detectGpu } from './gpu';
import {
  buildOnce,
  findWheelInstaller,
  installWheel,
  NO_INSTALLER,
  readComplete,
} from './install-python';
import { installerEnvironment } from './isolated-python';
import { tailLog } from './log-file';
import { cacheDirectory } from './paths';
import { findInterpreters } from './python';
import { findOnPath, runCommand } from './run-command';

export interface TensorflowEnvironment {
  /** The module that the engine loads: the folder of @tensorflow/tfjs-node. */
  modulePath: string;
  /** What must be added to the trainer's environment. */
  env: { SA_ORCH_TFJS_NODE: string };
  /** For people to read: `TensorFlow.js 4.22.0, TensorFlow 2.21.0`. */
  description: string;
}

interface EnvironmentOptions {
  onProgress: OnProgress;
  env?: NodeJS.ProcessEnv;
}

/** Where the C library comes from. */
export type LibrarySource =
  /** The folder TFJS_LIBTENSORFLOW, with lib/ and include/ of a libtensorflow release. */
  | { kind: 'existing'; folder: string }
  /** What the npm package's install script downloads; gpu: its build with CUDA. */
  | { kind: 'download'; gpu: boolean }
  /** The library in TensorFlow's pinned Python wheel. */
  | { kind: 'wheel' };

const LABEL = 'TensorFlow.js';
const TRAINER = join(packageRoot(), 'trainer', 'tfjs');
const WHEEL = join(packageRoot(), 'orchestrator', 'runtime', 'wheels', 'tensorflow-cpu.txt');
/**
 * The wheel's tags. Its C library is the same for every Python, so the machine's own does not
 * matter.
 */
const WHEEL_TAGS = { python: '3.12', platform: 'manylinux_2_27_x86_64' };

const DOWNLOAD_PROBE_MS = 5_000;
const DOWNLOAD_MS = 900_000;

/** The Node-API version that the addon is written for, and by which its package looks for it. */
const NAPI_VERSION = 8;

const WAYS_OUT =
  'Or use an unpacked libtensorflow (a folder with lib/ and include/): ' +
  'TFJS_LIBTENSORFLOW=<folder>.\nOr use the PyTorch trainer: --framework torch.';

/**
 * Finds or creates the environment of the TensorFlow.js trainer. The first time takes a minute or
 * two; after that, it only checks for a marker file.
 *
 * @throws UserError (exit 2) listing every missing tool, (exit 3) if packages or a C library are
 *   unavailable, (exit 1) if the build fails
 */
export async function ensureTensorflowEnvironment({
  onProgress,
  env = process.env,
}: EnvironmentOptions): Promise<TensorflowEnvironment> {
  const folder = environmentFolder(env);
  await buildOnce(folder, LABEL, onProgress, () => new Setup(folder, env, onProgress).run());
  return peekTensorflowEnvironment(env)!;
}

/** The existing environment; undefined if the next start would create it. */
export function peekTensorflowEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): TensorflowEnvironment | undefined {
  const folder = environmentFolder(env);
  const made = readComplete<Made>(folder);
  if (!made) return undefined;
  const modulePath = join(folder, 'node_modules', made.package);
  return { modulePath, env: { SA_ORCH_TFJS_NODE: modulePath }, description: made.description };
}

/**
 * The environment's folder, named by everything that it is made from, including Node's version,
 * with whose headers the addon is compiled.
 */
function environmentFolder(env: NodeJS.ProcessEnv): string {
  const hash = createHash('sha256');
  for (const file of [join(TRAINER, 'package-lock.json'), WHEEL]) hash.update(readFileSync(file));
  hash.update(
    [
      process.version,
      process.platform,
      process.arch,
      env.TFJS_LIBTENSORFLOW ?? '',
      detectGpu(),
    ].join('\0'),
  );
  return join(cacheDirectory(env), 'tensorflow', hash.digest('hex').slice(0, 16));
}

interface Made {
  package: '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';
  description: string;
}

/** Tools for building the addon that this machine does not have, each with how to get it. */
export async function missingTools(env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const has = (...names: string[]) => names.some((name) => findOnPath(name, env) !== undefined);
  // Being on PATH is not enough: a version manager's shim may have no Python behind it.
  const hasPython = (await findInterpreters(env)).length > 0;
  const tools: [found: boolean, what: string, packageName: string][] = [
    [has('npm'), 'npm', 'npm'],
    [has('g++', 'c++', 'clang++'), 'a C++ compiler', 'g++'],
    [has('make'), 'make', 'make'],
    [hasPython, 'Python, which node-gyp needs,', 'python3'],
  ];
  return tools
    .filter(([found]) => !found)
    .map(
      ([, what, packageName]) =>
        `${what} is not on PATH (Debian, Ubuntu: apt install ${packageName})`,
    );
}

/** What a setup must download from outside the package registries, each with how to avoid that. */
export async function neededDownloads(env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const headers =
    `Node's headers, from Node's own site: they are not installed with ${process.execPath} ` +
    '(Debian, Ubuntu: apt install libnode-dev)';
  const library =
    `TensorFlow's C library, from ${new URL(downloadHost(env)).host}: ${NO_INSTALLER} ` +
    'for the one in its Python wheel. Or TFJS_LIBTENSORFLOW=<folder> names one';
  return [
    ...(nodeHeaders() ? [] : [headers]),
    ...(env.TFJS_LIBTENSORFLOW || (await findWheelInstaller(env)) ? [] : [library]),
  ];
}

/**
 * Which C libraries to try, in order. If the user names a folder, only that one.
 *
 * @param canDownload whether the host that the npm package downloads from answers
 */
export function librarySources(
  env: NodeJS.ProcessEnv,
  machine: { platform: string; arch: string; hasGpu: boolean; canDownload: boolean },
): LibrarySource[] {
  if (env.TFJS_LIBTENSORFLOW)
    return [{ kind: 'existing', folder: resolve(env.TFJS_LIBTENSORFLOW) }];
  const { platform, arch, hasGpu, canDownload } = machine;
  return [
    ...(canDownload && hasGpu ? [{ kind: 'download', gpu: true } as const] : []),
    ...(canDownload ? [{ kind: 'download', gpu: false } as const] : []),
    ...(platform === 'linux' && arch === 'x64' ? [{ kind: 'wheel' } as const] : []),
  ];
}

/** A setup in an empty folder. */
class Setup {
  private readonly log: string;

  constructor(
    private readonly folder: string,
    private readonly env: NodeJS.ProcessEnv,
    private readonly onProgress: OnProgress,
  ) {
    this.log = `${folder}.log`;
  }

  async run(): Promise<Made> {
    const missing = await missingTools(this.env);
    if (missing.length > 0)
      throw new UserError(
        `the TensorFlow.js trainer cannot be built here:\n  ${missing.join('\n  ')}`,
        2,
        WAYS_OUT,
      );
    if (this.env.TFJS_LIBTENSORFLOW) findLibrary(this.env.TFJS_LIBTENSORFLOW);
    makeFolder(this.folder);
    writeFileSync(this.log, '');
    this.tell(`npm packages, once; log in ${this.log}`);
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      copyFileSync(join(TRAINER, file), join(this.folder, file));
    const installed = await this.command('npm', [
      'ci',
      '--ignore-scripts',
      '--prefix',
      this.folder,
    ]);
    if (!installed)
      throw this.failure(
        'its npm packages could not be installed',
        3,
        'Is the package registry reachable?',
      );
    const hasGpu = detectGpu();
    const canDownload = await this.canDownload();
    const sources = librarySources(this.env, {
      platform: process.platform,
      arch: process.arch,
      hasGpu,
      canDownload,
    });
    for (const source of sources) {
      const made = await this.build(source);
      if (!made) continue;
      if (hasGpu && made.package === '@tensorflow/tfjs-node')
        this.onProgress(
          '!',
          LABEL,
          'the GPU is not used: no C library with CUDA was found; TFJS_LIBTENSORFLOW can name one',
        );
      return made;
    }
    throw this.failure(
      `TensorFlow's C library is not available for ${process.platform}-${process.arch}`,
      3,
      '',
    );
  }

  /** Returns undefined if this source has no library. */
  private async build(source: LibrarySource): Promise<Made | undefined> {
    const name = this.findPackage(source);
    const module = join(this.folder, 'node_modules', name);
    const dependencies = join(module, 'deps');
    rmSync(dependencies, { recursive: true, force: true });
    if (source.kind === 'download') {
      this.tell("TensorFlow's C library, from the package's own script");
      if (!(await this.command(process.execPath, ['scripts/install.js'], module, DOWNLOAD_MS)))
        return undefined;
    } else {
      if (source.kind === 'existing') linkExisting(source.folder, dependencies);
      else if (!(await this.unpackWheel(dependencies))) return undefined;
      await this.compile(module);
    }
    return this.check(name, module);
  }

  private findPackage(source: LibrarySource): Made['package'] {
    const withGpu =
      source.kind === 'existing' ? detectGpu() : source.kind === 'download' && source.gpu;
    return withGpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
  }

  /**
   * Takes the wheel's headers and its two libraries, under the names that the linker and the loader
   * look for.
   */
  private async unpackWheel(dependencies: string): Promise<boolean> {
    this.tell("TensorFlow's C library, from the Python wheel: 260 MB");
    const folder = join(this.folder, 'wheel');
    if (!(await installWheel(WHEEL, folder, this.log, WHEEL_TAGS))) return false;
    const lib = join(dependencies, 'lib');
    makeFolder(lib);
    for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'])
      renameSync(join(folder, 'tensorflow', name), join(lib, name));
    symlinkSync('libtensorflow_cc.so.2', join(lib, 'libtensorflow.so'));
    symlinkSync('libtensorflow_framework.so.2', join(lib, 'libtensorflow_framework.so'));
    renameSync(join(folder, 'tensorflow', 'include'), join(dependencies, 'include'));
    rmSync(folder, { recursive: true });
    return true;
  }

  private async compile(module: string): Promise<void> {
    this.tell('compiling the addon');
    const gyp = join(this.folder, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    const headers = nodeHeaders();
    const path = join(module, 'lib', `napi-v${NAPI_VERSION}`);
    const names = [
      `--module_name=tfjs_binding`,
      `--module_path=${path}`,
      `--napi_build_version=${NAPI_VERSION}`,
    ];
    const options = [...(headers ? [`--nodedir=${headers}`] : []), ...names];
    const done = await this.command(process.execPath, [gyp, 'rebuild', ...options], module);
    if (!done) {
      const where = headers
        ? ''
        : "Node's headers are not installed here, " +
          "so node-gyp downloads them from Node's own site.\n";
      throw this.failure('its addon could not be compiled', 1, where);
    }
    // 150 MB that are not needed any more.
    for (const rest of ['build', join('deps', 'include')])
      rmSync(join(module, rest), { recursive: true, force: true });
  }

  /** Loads it once, because a compiled addon may still not find its library. */
  private async check(name: Made['package'], module: string): Promise<Made> {
    this.tell('loading it for the first time');
    const script = `
      const util = require('node:util');
      util.isNullOrUndefined ??= (value) => value === null || value === undefined;
      util.isArray ??= Array.isArray;
      const tf = require(process.argv[1]);
      if (tf.add(1, 2).dataSync()[0] !== 3) throw new Error('1 + 2 is not 3');
      console.log(JSON.stringify([tf.version['tfjs-node'], tf.backend().binding.TF_Version]));`;
    const { status, stdout, stderr, end } = await runCommand(
      process.execPath,
      ['-e', script, module],
      { log: this.log, cwd: this.folder, timeoutMs: 120_000 },
    );
    if (status !== 0) {
      const why = lastError(stderr) || `the process that tried ${end}`;
      throw this.failure(`it cannot be loaded: ${why}`, 1, '');
    }
    const [package_, library] = JSON.parse(stdout.trim().split('\n').at(-1)!) as [string, string];
    return { package: name, description: `TensorFlow.js ${package_}, TensorFlow ${library}` };
  }

  private async canDownload(): Promise<boolean> {
    try {
      // Any response will do.
      await fetch(downloadHost(this.env), {
        method: 'HEAD',
        signal: AbortSignal.timeout(DOWNLOAD_PROBE_MS),
      });
      return true;
    } catch {
      return false;
    }
  }

  private async command(
    program: string,
    args: string[],
    // Never the user's folder, whose package.json and node_modules belong to something else.
    cwd = this.folder,
    timeoutMs?: number,
  ): Promise<boolean> {
    // The package's install script calls its tools by name.
    const path = `${join(this.folder, 'node_modules', '.bin')}:${this.env.PATH ?? ''}`;
    const { status } = await runCommand(program, args, {
      log: this.log,
      // node-gyp runs Python.
      env: { ...installerEnvironment(this.env), PATH: path },
      cwd,
      timeoutMs,
    });
    return status === 0;
  }

  private tell(text: string): void {
    this.onProgress('…', LABEL, text);
  }

  private failure(what: string, exitCode: 1 | 3, hint: string): UserError {
    const lines = tailLog(this.log, 6).join('\n  ');
    return new UserError(
      `the TensorFlow.js trainer cannot be set up: ${what}\n  ${lines}`,
      exitCode,
      `${hint}The whole log: ${this.log}\n${WAYS_OUT}`,
    );
  }
}

/** Where the npm package's install script downloads from; its own settings can name a mirror. */
function downloadHost(env: NodeJS.ProcessEnv): string {
  return env.TFJS_NODE_CDN_STORAGE ?? env.CDN_STORAGE ?? 'https://storage.googleapis.com/';
}

/**
 * The libraries and headers of an unpacked libtensorflow, or of a Python installation's
 * `tensorflow` package.
 *
 * @throws UserError (exit 2) naming what the folder does not have
 */
export function findLibrary(folder: string): { lib: string; include: string } {
  const include = join(folder, 'include');
  const header = join(include, 'tensorflow', 'c', 'c_api.h');
  const lib = [join(folder, 'lib'), folder].find(
    (each) => libraryIn(each, 'libtensorflow') ?? libraryIn(each, 'libtensorflow_cc'),
  );
  if (lib === undefined || !existsSync(header)) {
    const lacks = lib === undefined ? 'libtensorflow in lib/' : 'include/tensorflow/c/c_api.h';
    throw new UserError(
      `TFJS_LIBTENSORFLOW: ${folder} has no ${lacks}`,
      2,
      'It must be the folder of an unpacked libtensorflow release, with lib/ and include/.',
    );
  }
  return { lib, include };
}

/** Links such a folder's content to where the addon's build looks for it. */
function linkExisting(folder: string, dependencies: string): void {
  const { lib, include } = findLibrary(folder);
  makeFolder(join(dependencies, 'lib'));
  for (const name of readdirSync(lib).filter((each) => each.startsWith('libtensorflow')))
    symlinkSync(join(lib, name), join(dependencies, 'lib', name));
  for (const [wanted, others] of [
    ['libtensorflow', ['libtensorflow', 'libtensorflow_cc']],
    ['libtensorflow_framework', ['libtensorflow_framework']],
  ] as const) {
    const link = join(dependencies, 'lib', `${wanted}.so`);
    const found = others.map((each) => libraryIn(lib, each)).find((each) => each !== undefined);
    if (found !== undefined && !existsSync(link)) symlinkSync(join(lib, found), link);
  }
  symlinkSync(include, join(dependencies, 'include'));
}

/** The file of the shared library with this name, with or without a version. */
function libraryIn(folder: string, name: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder).find((file) =>
    new RegExp(`^${name}\\.(so(\\.\\d+)*|(\\d+\\.)*dylib)$`).test(file),
  );
}

/** Where Node's headers are installed; undefined if they are not. */
function nodeHeaders(): string | undefined {
  return [dirname(dirname(process.execPath)), '/usr', '/usr/local'].find((each) =>
    existsSync(join(each, 'include', 'node', 'node_api.h')),
  );
}

function lastError(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => /error/i.test(line));
  return (lines.at(-1) ?? stderr.trim()).slice(0, 300);
}
