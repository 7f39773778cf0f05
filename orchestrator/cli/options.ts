/** Options that several commands share, each defined once. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEVICE_FORMS, isDeviceName, type DeviceName } from '../../common/device';
import { PRECISION_NAMES, type PrecisionName } from '../../common/vocabulary/precisions';
import { FRAMEWORKS, type Framework } from '../runtime/trainer-command';

/** Where files are. */
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

/** Which services to use instead of starting them here. */
export interface ServiceOptions {
  trainer?: string;
  framework?: Framework;
  python?: string;
  device?: DeviceName;
  threads?: number;
}

export function addPlaceOptions(command: Command): Command {
  return command
    .option(
      '--root <dir>',
      'artifact root: data sets, trials, sweeps (default: checkpoints, or SA_ORCH_ROOT)',
    )
    .option(
      '--state-dir <dir>',
      'state of server, worker and trainer (default: .sa-orch, or SA_ORCH_STATE)',
    );
}

export function addSweepOptions(command: Command): Command {
  return addPrecisionOption(command)
    .option(
      '--profile <name>',
      'a profile of the sweep file; `quick` is chosen where there is no GPU',
    )
    .option('--backbone <name>', 'a Hugging Face directory, a hub id, or all-MiniLM-L6-v2')
    .option('--tasks <list>', 'tasks instead of those in the file, for example mrpc,rte', parseList)
    .option(
      '--seeds <list>',
      'seeds instead of those in the file, for example 1,2,3',
      parseIntegers,
    )
    .option('--rows <n>', 'at most this many training rows a task, or `all`', parseRows)
    .option(
      '--data-dir <dir>',
      'the folder of GLUE (MRPC/, …), SQuAD (train-v1.1.json, …), XSum or CNN/DailyMail (train.csv, …), or one with glue/, squad/, xsum/, ' +
        'cnn_dailymail/ (default: SA_ORCH_DATA, the hub, else demo rows)',
    );
}

export function addPrecisionOption(command: Command): Command {
  const what =
    "arithmetic of the frozen backbone (default: the trainer's; float32 on a CPU, bf16 on a GPU)";
  return command.addOption(new Option('--precision <name>', what).choices(PRECISION_NAMES));
}

export function addServiceOptions(command: Command): Command {
  return command
    .option(
      '--trainer <address>',
      'use this trainer (unix:<path> or host:port) instead of starting one',
    )
    .addOption(
      new Option(
        '--framework <name>',
        'of the trainer (default: torch, or tfjs where there is no Python)',
      ).choices(FRAMEWORKS),
    )
    .option(
      '--python <path>',
      'Python interpreter for the torch trainer (default: an environment made on first use, ' +
        'or SA_ORCH_PYTHON)',
    )
    .option(
      '--device <name>',
      'where the trainer computes: auto, cpu, cuda, or cuda:<index>',
      parseDevice,
    )
    .option(
      '--threads <n>',
      'CPU threads of the trainer; results to the last digit depend on it',
      parseInteger,
    );
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print one JSON document on stdout and nothing else');
}

export function parseList(text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === ''))
    throw new InvalidArgumentError('must be names with commas between, for example mrpc,rte');
  return items;
}

export function parseDevice(text: string): DeviceName {
  if (!isDeviceName(text)) throw new InvalidArgumentError(`must be ${DEVICE_FORMS}`);
  return text;
}

export function parseInteger(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new InvalidArgumentError('must be a number');
  return value;
}

function parseIntegers(text: string): number[] {
  return parseList(text).map(parseInteger);
}

function parseRows(text: string): number | 'all' {
  return text === 'all' ? 'all' : parseInteger(text);
}

/** The seed scripts write flags with underscores (`--attn_bn`): both spellings mean the same. */
export function normalizeFlags(argv: readonly string[]): string[] {
  return argv.map((argument) => {
    if (!argument.startsWith('--')) return argument;
    const [flag = '', ...value] = argument.split('=');
    return [flag.replaceAll('_', '-'), ...value].join('=');
  });
}
