/**
 * Decides what to run for a state directory, from the user's options, the environment, and what ran
 * before.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { artifactRootId, readIfThere } from '../../common/files';
import { packageRoot } from '../../common/package';
import { tlsFromEnvironment, type TlsFiles } from '../trainer-client/channel';
import { absoluteInterpreter } from './isolated-python';
import { socketPath } from './paths';
import {
  DEFAULT_STOP_AFTER,
  DEFAULT_UNLOAD_AFTER,
  readRuntimeConfig,
  type EmbeddedTemporal,
  type ExternalTrainer,
  type LocalTrainer,
  type RuntimeConfig,
} from './runtime-config';
import { findTemporalBinary } from './temporal-binary';
import { connectTo, externalTemporal } from './temporal-client';
import { planEmbeddedServer } from './temporal-server';
import { checkDevice, chooseFramework, setUpTrainer, type Framework } from './trainer-command';

export interface UpOptions {
  stateDir: string;
  /** The artifact root. */
  root: string;
  /** Framework of the trainer to start; by default torch if available. */
  framework?: Framework;
  /** The torch trainer's interpreter; by default one in an environment that we create. */
  python?: string;
  device?: DeviceName;
  threads?: number;
  /** As in RuntimeConfig, and of its trainer. */
  stopAfter?: number;
  unloadAfter?: number;
  /** Use this trainer, `unix:<path>` or `host:port`, instead of starting one. */
  trainerAddress?: string;
  onProgress: OnProgress;
}

/**
 * Refuses what can be known to fail before anything is set up, read or started.
 *
 * @throws UserError (exit 2) naming the option
 */
export function refuseUnusable(
  options: Pick<UpOptions, 'stateDir' | LocalOption | 'trainerAddress'>,
  env: NodeJS.ProcessEnv = process.env,
): void {
  const given = LOCAL_OPTIONS.filter((name) => options[name] !== undefined);
  if (options.trainerAddress !== undefined && given.length > 0)
    throw new UserError(
      `${given.map(nameFlag).join(', ')} can be set only for a trainer that is started here, ` +
        'but --trainer names another',
      2,
      'Remove one of the two.',
    );
  const last = readRuntimeConfig(options.stateDir)?.trainer;
  const before = last?.kind === 'local' ? last.ownPython : null;
  const { framework = 'torch', device = null } = options;
  checkDevice(framework, device, namedPython(options, env) ?? before);
}

const LOCAL_OPTIONS = ['framework', 'python', 'device', 'threads', 'unloadAfter'] as const;
type LocalOption = (typeof LOCAL_OPTIONS)[number];

/** `--unload-after` for `unloadAfter`. */
const nameFlag = (option: LocalOption): string =>
  `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The interpreter that the user names, by its absolute path. */
function namedPython(
  { python }: Pick<UpOptions, 'python'>,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const name = python ?? (env.SA_ORCH_PYTHON || undefined);
  return name === undefined ? undefined : absoluteInterpreter(name);
}

/**
 * Sets up what is missing (server binary, trainer environment) and returns what to run. `last` is
 * what ran here before and is now dead.
 */
export async function planRuntime(
  options: UpOptions,
  last: RuntimeConfig | undefined,
): Promise<RuntimeConfig> {
  const { root, stateDir, onProgress } = options;
  refuseUnusable(options);
  // First, because it writes to the root: one that cannot be used must not cost minutes of set-up.
  const taskQueue = taskQueueFor(root);
  const temporal = externalTemporal() ?? (await planEmbedded(stateDir, last, onProgress));
  const trainer = await planTrainer(options, last);
  return {
    format: 2,
    root,
    rootId: artifactRootId(root),
    build: buildStamp(),
    taskQueue,
    stopAfter: options.stopAfter ?? last?.stopAfter,
    temporal,
    trainer,
  };
}

async function planEmbedded(
  stateDir: string,
  last: RuntimeConfig | undefined,
  onProgress: OnProgress,
): Promise<EmbeddedTemporal> {
  const binary = await findTemporalBinary(onProgress);
  return planEmbeddedServer(
    stateDir,
    binary,
    last?.temporal.kind === 'embedded' ? last.temporal : undefined,
  );
}

/**
 * Options that the user leaves out stay as they were: `watch` after a crash must bring back the
 * trainer of `start --device cuda`.
 */
async function planTrainer(
  options: UpOptions,
  last: RuntimeConfig | undefined,
): Promise<LocalTrainer | ExternalTrainer> {
  const { stateDir, python, device, threads, trainerAddress, onProgress } = options;
  const wantsLocal = LOCAL_OPTIONS.some((name) => options[name] !== undefined);
  const before = last?.trainer;
  const address =
    trainerAddress ?? (before?.kind === 'external' && !wantsLocal ? before.address : undefined);
  if (address !== undefined) {
    const known =
      before?.kind === 'external' && before.address === address ? before.tls : undefined;
    const tls = absoluteTlsFiles(process.env) ?? known;
    return { kind: 'external', address, ...(tls === undefined ? {} : { tls }) };
  }
  const local = before?.kind === 'local' ? before : undefined;
  const ownPython = namedPython(options, process.env) ?? local?.ownPython ?? null;
  const setUp = { python: ownPython ?? undefined, onProgress };
  const framework =
    options.framework ??
    (python === undefined ? local?.framework : 'torch') ??
    (await chooseFramework(setUp));
  if (framework === 'tfjs' && python !== undefined) {
    throw new UserError(
      '--python applies only to the torch trainer, but --framework is tfjs',
      2,
      'Remove one of the two.',
    );
  }
  const chosenDevice = device ?? local?.device ?? null;
  checkDevice(framework, chosenDevice, ownPython);
  const visibleGpus = process.env.CUDA_VISIBLE_DEVICES ?? local?.visibleGpus;
  return {
    kind: 'local',
    framework,
    address: `unix:${socketPath(stateDir, 'trainer.sock')}`,
    command: await setUpTrainer(framework, setUp),
    ownPython,
    device: chosenDevice,
    ...(visibleGpus === undefined ? {} : { visibleGpus }),
    threads: threads ?? local?.threads ?? null,
    unloadAfter: options.unloadAfter ?? local?.unloadAfter,
  };
}

/** The trainer's TLS files in the environment, as any other shell finds them. */
function absoluteTlsFiles(env: NodeJS.ProcessEnv): TlsFiles | undefined {
  const found = tlsFromEnvironment(env);
  const place = (file?: string) => (file ? resolve(file) : undefined);
  return found && { ca: place(found.ca), cert: place(found.cert), key: place(found.key) };
}

/**
 * One queue per artifact root, because an activity must run where the files are. The trainer does
 * not count: a sweep whose trainer is gone for good continues with any other one on this root. If
 * several workers serve the root, each with a trainer of its own, the root's sweeps use them all.
 */
export function taskQueueFor(root: string): string {
  const digest = createHash('sha256').update(artifactRootId(root)).digest('hex');
  return `sa-orch-${digest.slice(0, 12)}`;
}

/** The stamp of the build that is on disk now. */
export function buildStamp(): string {
  return readIfThere(join(packageRoot(), 'dist', '.stamp')) ?? '';
}

/**
 * @throws UserError (exit 2) if the running services differ from the request, naming each
 * difference
 */
export function refuseOtherWishes(
  running: RuntimeConfig,
  options: UpOptions,
  env: NodeJS.ProcessEnv = process.env,
): void {
  const { trainer, temporal } = running;
  const local = trainer.kind === 'local' ? trainer : undefined;
  const differences: string[] = [];
  const compare = (
    what: string,
    asked: string | number | undefined,
    has: string | number | null | undefined,
  ): void => {
    const words = (value: string | number | null | undefined) =>
      value === '' ? 'empty' : (value ?? 'not set');
    if (asked !== undefined && asked !== has)
      differences.push(`${what} is ${words(has)}, but ${words(asked)} was requested`);
  };
  compare('--root', options.root, running.root);
  compare('--trainer', options.trainerAddress, trainer.address);
  compare('--framework', options.framework, local?.framework);
  compare('--device', options.device, local?.device);
  compare('--threads', options.threads, local?.threads);
  compare(
    '--unload-after',
    options.unloadAfter,
    local && (local.unloadAfter ?? DEFAULT_UNLOAD_AFTER),
  );
  compare('--stop-after', options.stopAfter, running.stopAfter ?? DEFAULT_STOP_AFTER);
  if (local?.framework === 'torch' || options.python !== undefined)
    compare(
      options.python === undefined ? 'SA_ORCH_PYTHON' : '--python',
      namedPython(options, env),
      local?.ownPython,
    );
  // An external trainer got it from the environment of whoever started it.
  if (local) compare('CUDA_VISIBLE_DEVICES', env.CUDA_VISIBLE_DEVICES, local.visibleGpus);
  if (trainer.kind === 'external') {
    const tls = absoluteTlsFiles(env);
    compare('SA_ORCH_TRAINER_CA', tls?.ca, trainer.tls?.ca);
    compare('SA_ORCH_TRAINER_CERT', tls?.cert, trainer.tls?.cert);
    compare('SA_ORCH_TRAINER_KEY', tls?.key, trainer.tls?.key);
  }
  compare("Temporal's address", externalTemporal()?.address, temporal.address);
  if (differences.length === 0) return;
  throw new UserError(
    `the services of ${options.stateDir} run with different settings: ${differences.join('; ')}`,
    2,
    'Remove the option, or stop the services first with `sa-orch down`. A different --state-dir ' +
      'runs its own services.',
  );
}

/** Shows which server will be used before anything is sent to it, and that it answers. */
export async function announceTemporal(
  { temporal }: Pick<RuntimeConfig, 'temporal'>,
  onProgress: OnProgress,
): Promise<void> {
  if (temporal.kind === 'embedded') return;
  onProgress(
    '…',
    'Temporal',
    `${temporal.address}, namespace ${temporal.namespace} ` +
      '(set by the environment, not started here)',
  );
  const client = await connectTo(temporal, 10_000);
  await client.connection.close();
  onProgress('✓', 'Temporal', `${temporal.address}, namespace ${temporal.namespace}`);
}
