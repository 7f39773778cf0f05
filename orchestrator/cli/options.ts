/** Options that several commands share, each defined once. */
import { resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEVICE_FORMS, isDeviceName, type DeviceName } from '../../common/device';
import {
  parseMetricsPort,
  WORKER_METRICS_FORMS,
  workerMetricsAddress,
} from '../../common/metrics-port';
import { PRIORITIES } from '../../workflows/messages';
import { PRECISION_NAMES, type PrecisionName } from '../../common/vocabulary/precisions';
import { readSeeds } from '../config/seeds';
import { BENCHMARKS } from '../tasks/registry';
import { checkAddress } from '../trainer-client/channel';
import { checkSource, SOURCE_FORMS } from '../trainer-client/sources';
import { DEFAULT_STOP_AFTER, DEFAULT_UNLOAD_AFTER } from '../runtime/runtime-config';
import type { UpOptions } from '../runtime/runtime-plan';
import { FRAMEWORKS } from '../runtime/trainer-command';

/** Where files are stored. */
export interface PlaceOptions {
  root?: string;
  stateDir?: string;
}

/** Which sweep, on which rows. */
export interface SweepOptions {
  profile?: string;
  backbone?: string;
  precision?: PrecisionName;
  tasks?: string[];
  seeds?: number[];
  rows?: number | 'all';
  dataDir?: string;
}

/** How services are started, and which existing ones are used instead. */
export interface ServiceOptions extends Omit<
  UpOptions,
  'stateDir' | 'root' | 'onProgress' | 'trainerSources'
> {
  trainer?: string[];
}

export function addPlaceOptions(command: Command): Command {
  return command
    .option(
      '--root <dir>',
      'directory for data sets, trials and sweeps (default: SA_ORCH_ROOT, else checkpoints)',
    )
    .option(
      '--state-dir <dir>',
      'directory for the state of the services (default: SA_ORCH_STATE, else .sa-orch)',
    );
}

const describeBenchmark = ({ name, example }: (typeof BENCHMARKS)[number]) =>
  `${name} (${example}, …)`;

/** What `--data-dir` names. */
export const DATA_DIRECTORY =
  `directory with ${BENCHMARKS.map(describeBenchmark).join(', ')}, ` +
  `or with ${BENCHMARKS.map(({ folder }) => `${folder}/`).join(', ')}`;

export function addSweepOptions(command: Command): Command {
  return addPrecisionOption(command)
    .option('--profile <name>', 'profile of the sweep file (without a GPU, `quick` is the default)')
    .option('--backbone <name>', 'Hugging Face directory or hub id, or all-MiniLM-L6-v2')
    .option(
      '--tasks <list>',
      'override the tasks of the file, for example mrpc,rte; each keeps its settings there',
      parseList,
    )
    .option('--seeds <list>', 'override the seeds of the file: 1,2,3 or 1-5 or 1-3,7', parseSeeds)
    .option('--rows <n>', 'maximum training rows per task, or `all`', parseRows)
    .option(
      '--data-dir <dir>',
      `${DATA_DIRECTORY} (default: SA_ORCH_DATA, else the hub, else demo rows)`,
    );
}

export function addPrecisionOption(command: Command): Command {
  const description =
    'arithmetic of the frozen backbone (default: float32 on a CPU, bf16 on a GPU)';
  return command.addOption(new Option('--precision <name>', description).choices(PRECISION_NAMES));
}

/** How a sweep shares the trainers with others. */
export function addPlacementOptions(command: Command): Command {
  return command
    .option(
      '--max-parallel <n>',
      'maximum cohorts in progress at once, over all trainers (default: no limit)',
      parseCount,
    )
    .addOption(
      new Option(
        '--priority <name>',
        'sweeps of a higher priority get trainers first (default: normal)',
      ).choices(PRIORITIES),
    );
}

/** What `--unload-after` means. */
export const UNLOAD_AFTER =
  "free the trainer's backbone after this many minutes without a job; the next one loads it " +
  `again (default: ${DEFAULT_UNLOAD_AFTER}; 0: never)`;

export function addServiceOptions(command: Command): Command {
  return command
    .option(
      '--trainer <address>',
      `use this trainer (${SOURCE_FORMS}) instead of starting any; may be repeated`,
      collectTrainers,
    )
    .addOption(
      new Option(
        '--framework <name>',
        'training framework (default: torch, or tfjs if there is no Python)',
      ).choices(FRAMEWORKS),
    )
    .option(
      '--python <path>',
      'Python interpreter for the torch trainer (default: SA_ORCH_PYTHON, else an environment ' +
        'created on first use)',
    )
    .option(
      '--trainers <n>',
      'how many trainers to start (default: one for each visible GPU, one without a GPU)',
      parseCount,
    )
    .option(
      '--devices <list>',
      'start a trainer on each of these devices: cuda:0,cuda:3',
      parseDevices,
    )
    .option(
      '--device <name>',
      'device of the trainers: auto, cpu, cuda or cuda:<index>',
      parseDevice,
    )
    .option(
      '--threads <n>',
      'CPU threads of each trainer (default: the cores, shared by the trainers); affects the ' +
        'last digits of results',
      parseCount,
    )
    .option('--unload-after <minutes>', UNLOAD_AFTER, parseMinutes)
    .option(
      '--stop-after <minutes>',
      'stop the services after this many minutes without an open sweep; the next start brings ' +
        `them back (default: ${DEFAULT_STOP_AFTER}; 0: never)`,
      parseMinutes,
    );
}

/** What these options ask of the services. */
export function readServiceOptions(
  options: ServiceOptions,
): Omit<UpOptions, 'stateDir' | 'root' | 'onProgress'> {
  const { framework, python, trainers, devices, device, threads, trainer } = options;
  const { unloadAfter, stopAfter } = options;
  return {
    ...{ framework, python, trainers, devices, device, threads, unloadAfter, stopAfter },
    trainerSources: trainer,
  };
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print a single JSON document on stdout');
}

export function parseList(text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === ''))
    throw new InvalidArgumentError('must be a comma-separated list, for example mrpc,rte');
  return items;
}

export function parseDevice(text: string): DeviceName {
  if (!isDeviceName(text)) throw new InvalidArgumentError(`must be ${DEVICE_FORMS}`);
  return text;
}

function parseDevices(text: string): DeviceName[] {
  const devices = parseList(text).map(parseDevice);
  if (devices.includes('auto'))
    throw new InvalidArgumentError('must name devices: cpu, cuda or cuda:<index>');
  const gpus = devices
    .filter((each) => each !== 'cpu')
    .map((each) => (each === 'cuda' ? 'cuda:0' : each));
  if (new Set(gpus).size < gpus.length)
    throw new InvalidArgumentError('must name each GPU once: a trainer takes the whole of one');
  return devices;
}

export function parseInteger(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

/** At least one of something. */
export function parseCount(text: string): number {
  const value = parseInteger(text);
  if (value < 1) throw new InvalidArgumentError('must be at least 1');
  return value;
}

/** An address at which something can be reached. */
export function parseAddress(text: string): string {
  try {
    checkAddress(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return text;
}

/** Where a trainer serves metrics. */
export function parseTrainerMetrics(text: string): string {
  const { port = 0 } = parseMetricsPort(text) ?? {};
  if (port === 0)
    throw new InvalidArgumentError('must be a port from 1 to 65535, or <host>:<port>');
  return text;
}

/** Where a worker does. */
export function parseWorkerMetrics(text: string): string {
  if (workerMetricsAddress(text) === undefined)
    throw new InvalidArgumentError(`must be ${WORKER_METRICS_FORMS}`);
  return text;
}

/** Where a trainer listens; port 0 is any free one. */
export function parseListen(text: string): string {
  return /^[^/\s]+:0$/.test(text) ? text : parseAddress(text);
}

/** Where something is sent over HTTP. */
export function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:\/\//.test(text))
    throw new InvalidArgumentError(`${text} is not http://… or https://…`);
  return text;
}

/** One more trainer; a file of addresses by its absolute path. */
export function collectTrainers(text: string, before: string[] = []): string[] {
  const source = text.startsWith('@') ? `@${resolve(text.slice(1))}` : text;
  try {
    checkSource(source);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return [...before, source];
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new InvalidArgumentError('must be a number');
  return value;
}

/** A length of time; 0 is none. */
export function parseMinutes(text: string): number {
  const value = parseNumber(text);
  if (value < 0) throw new InvalidArgumentError('must be a number of minutes, or 0');
  return value;
}

export function parseSeeds(text: string): number[] {
  try {
    return readSeeds(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidArgumentError('must be a list of seeds: 1,2,3 or 1-5 or 1-3,7');
  }
}

function parseRows(text: string): number | 'all' {
  if (text === 'all') return 'all';
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError(
    'must be a whole number of at least 1, or `all`' +
      (text.includes('%') ? '; percents are not understood' : ''),
  );
}

/** The seed scripts write flags with underscores (`--attn_bn`): both spellings mean the same. */
export function normalizeFlags(argv: readonly string[]): string[] {
  return argv.map((argument) => {
    if (!argument.startsWith('--')) return argument;
    const [flag = '', ...value] = argument.split('=');
    return [flag.replaceAll('_', '-'), ...value].join('=');
  });
}
