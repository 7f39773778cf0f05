/** Decides which trainers to run or to use for a state directory. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { DeviceName } from '../../common/device';
import { readTlsFiles } from '../../common/tls-files';
import { readWorkerSettings } from '../../common/worker-settings';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { CLIENT_TLS, tlsFromEnvironment, type TlsFiles } from '../trainer-client/channel';
import { assignDevices, type TrainerWishes } from './assign-devices';
import { listVisibleGpus } from './gpu';
import { absoluteInterpreter } from './isolated-python';
import { socketPath } from './paths';
import {
  readRuntimeConfig,
  trainerName,
  type ExternalTrainer,
  type LocalTrainers,
  type TrainersOf,
} from './runtime-config';
import { checkDevice, chooseFramework, setUpTrainer, type Framework } from './trainer-command';

/** What a command asks of the trainers. */
export interface TrainerOptions {
  stateDir: string;
  /** Framework of the trainers to start; by default torch if available. */
  framework?: Framework;
  /** The torch trainers' interpreter; by default one in an environment that we create. */
  python?: string;
  /** How many to start; by default one for each visible GPU. */
  trainers?: number;
  /** One trainer on each. */
  devices?: DeviceName[];
  /** Of all trainers. */
  device?: DeviceName;
  /** Of each trainer. */
  threads?: number;
  /** As in LocalTrainers. */
  unloadAfter?: number;
  /** Use these trainers, as in ExternalTrainer, instead of starting any. */
  trainerSources?: string[];
}

const LOCAL_OPTIONS = [
  ...(['framework', 'python', 'trainers', 'devices'] as const),
  ...(['device', 'threads', 'unloadAfter'] as const),
] as const;

/** `--unload-after` for `unloadAfter`. */
const nameFlag = (option: (typeof LOCAL_OPTIONS)[number]): string =>
  `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * Refuses what can be known to fail before anything is set up, read or started.
 *
 * @throws UserError (exit 2) naming the option, or WrongSetting the variable
 */
export function refuseUnusable(
  options: TrainerOptions,
  env: NodeJS.ProcessEnv = process.env,
): void {
  readWorkerSettings(env);
  const given = LOCAL_OPTIONS.filter((name) => options[name] !== undefined);
  if (options.trainerSources !== undefined && given.length > 0)
    throw new UserError(
      `${given.map(nameFlag).join(', ')} can be set only for a trainer that is started here, ` +
        'but --trainer names another',
      2,
      'Remove one of the two.',
    );
  const others = (['trainers', 'device'] as const).filter((name) => options[name] !== undefined);
  if (options.devices !== undefined && others.length > 0)
    throw new UserError(
      '--devices starts a trainer on each of its devices, so ' +
        `${others.map(nameFlag).join(' and ')} cannot be set beside it`,
      2,
      'Remove one of the two.',
    );
  const before = readRuntimeConfig(options.stateDir)?.local?.ownPython ?? null;
  const { framework = 'torch' } = options;
  const ownPython = namedPython(options, env) ?? before;
  if (options.devices === undefined) checkDevice(framework, options.device ?? null, ownPython);
  // Which GPU it is, each trainer is told by its own CUDA_VISIBLE_DEVICES.
  else if (options.devices.some((device) => device !== 'cpu'))
    checkDevice(framework, 'cuda', ownPython, undefined, `--devices ${options.devices.join(',')}`);
}

/** The interpreter that the user names, by its absolute path. */
export function namedPython(
  { python }: Pick<TrainerOptions, 'python'>,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const name = python ?? (env.SA_ORCH_PYTHON || undefined);
  return name === undefined ? undefined : absoluteInterpreter(name);
}

/**
 * Options that the user leaves out stay as they were: `watch` after a crash must bring back the
 * trainers of `start --device cuda`.
 */
export async function planTrainers(
  options: TrainerOptions,
  last: TrainersOf | undefined,
  onProgress: OnProgress,
): Promise<TrainersOf> {
  const { trainerSources } = options;
  if (trainerSources !== undefined)
    return { local: null, external: nameExternal(trainerSources, last?.external ?? []) };
  const wantsLocal = LOCAL_OPTIONS.some((name) => options[name] !== undefined);
  const before = wantsLocal ? [] : (last?.external ?? []);
  const external = nameExternal(
    before.map(({ address }) => address),
    before,
  );
  if (external.length > 0 && !last?.local) return { local: null, external };
  return { local: await planLocal(options, last?.local ?? undefined, onProgress), external };
}

/**
 * With the TLS files of this shell, else with those that are known of an address; a socket needs
 * none.
 *
 * @throws UnusableTls if one of this shell's files cannot be used
 */
export function nameExternal(
  addresses: readonly string[],
  known: readonly ExternalTrainer[],
): ExternalTrainer[] {
  const here = absoluteTlsFiles(process.env);
  return [...new Set(addresses)].map((address) => {
    if (address.startsWith('unix:')) return { address };
    if (here) readTlsFiles(here, CLIENT_TLS);
    const tls = here ?? known.find((each) => each.address === address)?.tls;
    return tls === undefined ? { address } : { address, tls };
  });
}

async function planLocal(
  options: TrainerOptions,
  last: LocalTrainers | undefined,
  onProgress: OnProgress,
): Promise<LocalTrainers> {
  const { stateDir, python } = options;
  const ownPython = namedPython(options, process.env) ?? last?.ownPython ?? null;
  const setUp = { python: ownPython ?? undefined, onProgress };
  const framework =
    options.framework ??
    (python === undefined ? last?.framework : 'torch') ??
    (await chooseFramework(setUp));
  if (framework === 'tfjs' && python !== undefined) {
    throw new UserError(
      '--python applies only to the torch trainer, but --framework is tfjs',
      2,
      'Remove one of the two.',
    );
  }
  const wishes = resolveWishes(options, last?.wishes);
  checkDevice(framework, wishes.device, ownPython);
  const { visibleGpus } = wishes;
  const gpus = listVisibleGpus({ ...process.env, CUDA_VISIBLE_DEVICES: visibleGpus });
  const assigned = assignDevices(wishes, framework, gpus, availableParallelism());
  return {
    framework,
    command: await setUpTrainer(framework, setUp),
    ownPython,
    unloadAfter: options.unloadAfter ?? last?.unloadAfter,
    wishes,
    list: assigned.map((each, index) => ({
      name: trainerName(index),
      address: `unix:${socketPath(stateDir, `${trainerName(index)}.sock`)}`,
      ...each,
    })),
  };
}

/** How many trainers there are and on what devices is one wish, in several words. */
function resolveWishes(options: TrainerOptions, last: TrainerWishes | undefined): TrainerWishes {
  const { trainers = null, devices = null, device = null, threads } = options;
  const isSaid = trainers !== null || devices !== null || device !== null;
  const { trainers: n, devices: each, device: all } = last ?? NO_WISHES;
  const before = { trainers: n, devices: each, device: all };
  const visibleGpus = process.env.CUDA_VISIBLE_DEVICES ?? last?.visibleGpus;
  return {
    ...(isSaid ? { trainers, devices, device } : before),
    threads: threads ?? last?.threads ?? null,
    ...(visibleGpus === undefined ? {} : { visibleGpus }),
  };
}

const NO_WISHES = { trainers: null, devices: null, device: null };

/** The trainer's TLS files in the environment, as any other shell finds them. */
export function absoluteTlsFiles(env: NodeJS.ProcessEnv): TlsFiles | undefined {
  const found = tlsFromEnvironment(env);
  const place = (file?: string) => (file ? resolve(file) : undefined);
  return found && { ca: place(found.ca), cert: place(found.cert), key: place(found.key) };
}
