/** What the flags of the published scripts mean as settings of a sweep file. Pure. */
import { ConfigError } from '../base/errors';
import { findPublishedTask } from '../tasks/registry';
import type { PublishedOptions, RunOptions } from './run-options';

/** The three programs, and the task families' kinds that each serves. */
export const PROGRAMS = {
  glue: ['classification', 'regression'],
  qa: ['question_answering'],
  summarization: ['summarization'],
} as const;

export type Program = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as Program[];

/** Devices if their scripts are given none: `--device_ids "2 3"`. */
const DEFAULT_DEVICES = 2;
/** Rows of a device, tokens, epochs and rate if their scripts are given none. */
const DEFAULTS = { rows: 8, epochs: 3, learning_rate: 5e-5, weight_decay: 0 } as const;
const DEFAULT_TOKENS: Record<Program, number> = { glue: 128, qa: 384, summarization: 1024 };
const DEFAULT_ATTENTION_WIDTH = 200;
const ROWS_PER_LENGTH = 32;

/** The published task that the flags name, by `--task_name` or `--dataset_name`. */
export function findTaskName(options: RunOptions): string | undefined {
  const [named] = options.datasetName ?? [];
  const task = options.task ?? named;
  if (options.task === undefined && named !== undefined && findPublishedTask(named) === undefined) {
    throw new ConfigError({
      where: '--dataset-name',
      message:
        `${named} is not a published task here; describe a task of your own in a sweep file ` +
        '(README.md, "Your own rows")',
    });
  }
  return task;
}

export function findProgram(task: string): Program {
  const kind = findPublishedTask(task)?.kind ?? 'classification';
  return PROGRAM_NAMES.find((name) => (PROGRAMS[name] as readonly string[]).includes(kind))!;
}

/** Settings under train that come from their flags. pasted: whether their defaults apply. */
export function readTrain(options: RunOptions, pasted: boolean): Record<string, unknown> {
  const devices = pasted || options.deviceIds ? countDevices(options) : 1;
  const rows = readNumber(options, 'perDeviceTrainBatchSize', 'perGpuTrainBatchSize');
  const perDevice = rows ?? (pasted ? DEFAULTS.rows : undefined);
  const steps = readNumber(options, 'maxSteps');
  const epochs = options.epochs ?? (pasted ? DEFAULTS.epochs : undefined);
  const accumulated = readNumber(options, 'gradientAccumulationSteps');
  return {
    ...(steps !== undefined && steps > 0 ? { steps } : { epochs }),
    batch_size: options.batchSize ?? (perDevice === undefined ? undefined : perDevice * devices),
    loss_parts: devices > 1 && options.batchSize === undefined ? devices : undefined,
    accumulated_batches: accumulated === undefined || accumulated === 1 ? undefined : accumulated,
    learning_rate: options.learningRate ?? (pasted ? DEFAULTS.learning_rate : undefined),
    weight_decay: options.weightDecay ?? (pasted ? DEFAULTS.weight_decay : undefined),
    schedule: readSchedule(options),
    max_grad_norm: readNumber(options, 'maxGradNorm'),
    adam_beta1: readNumber(options, 'adamBeta1'),
    adam_beta2: readNumber(options, 'adamBeta2'),
    adam_epsilon: readNumber(options, 'adamEpsilon'),
  };
}

/** Settings of a sweep file apart from train, adapter and compare. */
export function readLimits(
  options: RunOptions,
  program: Program,
  pasted: boolean,
): Record<string, unknown> {
  return {
    max_length: options.maxSeqLength ?? (pasted ? DEFAULT_TOKENS[program] : undefined),
    validation_rows: readNumber(options, 'maxEvalSamples'),
    unfreeze_params: options.unfreezeParams?.join(' ').trim(),
  };
}

/** Rows to score on: 32 for each of `--length`. */
export function readScoringRows(options: RunOptions): number | undefined {
  const length = readNumber(options, 'length');
  return length === undefined ? undefined : Math.trunc(length * ROWS_PER_LENGTH);
}

/** How many devices a step's rows are divided over. */
export function countDevices({ deviceIds }: PublishedOptions): number {
  const ids = (deviceIds ?? []).join(' ').trim();
  return ids === '' ? DEFAULT_DEVICES : ids.split(/\s+/).length;
}

/**
 * The adapter by their meaning of the flags, where it is not ours: what they build for an option
 * that another mode has, or for none.
 *
 * @throws ConfigError for what ends their programs with an error whatever the backbone is
 */
export function readAdapter(
  options: RunOptions,
  program: Program,
): Record<string, unknown> & { unfreeze_params?: string } {
  const { attnMode = 'none', attnOption = 'concat', ffnMode = 'none', ffnOption } = options;
  const composition = options.attnComposition?.[0] ?? 'add';
  const isPair = program === 'summarization';
  const ffn = ffnMode === 'adapter' ? FFN_OPTIONS[ffnOption ?? 'none'] : ffnMode;
  if (composition === 'gate_add' && attnMode !== 'none') requireGates(attnMode, attnOption, isPair);
  if (attnMode === 'bitfit') {
    if (isPair)
      throw cannot('attn-mode', 'BitFit on BART (ValueError)', 'a prefix, or --compat none');
    // Every parameter with bias in its name, whatever else is asked for.
    return ffn === 'none'
      ? { kind: 'bitfit' }
      : { attention: 'none', ffn, unfreeze_params: 'bias' };
  }
  const width = options.attnBn ?? DEFAULT_ATTENTION_WIDTH;
  if (attnMode === 'adapter') {
    const attention = placeOfAdapter(attnOption, isPair);
    if (attention === 'concat' && !isPair) requirePadded(options);
    return { attention, ffn, ...(attention === 'none' ? {} : { attention_bottleneck: width }) };
  }
  if (attnMode === 'prompt_tuning') return { attention: isPair ? 'prompt' : 'none', ffn };
  if (!attnMode.startsWith('prefix'))
    return { attention: attnMode, ffn, ...widthOf(attnMode, width) };
  const isCross = attnOption.startsWith('cross');
  if (attnOption !== 'concat' && !isCross) {
    if (isPair)
      throw cannot('attn-option', `${attnOption} with a prefix on BART (ValueError)`, 'concat');
    // An encoder builds the prefix, and no attention reads it.
    return { attention: 'none', ffn };
  }
  const prefix_use = isCross ? findPrefixUse(attnOption, composition, isPair) : undefined;
  return {
    attention: 'prefix',
    ffn,
    attention_bottleneck: width,
    prefix_hidden: attnMode === 'prefix_nomlp' ? 0 : (options.midDim ?? 800),
    ...(prefix_use === undefined ? {} : { prefix_use }),
  };
}

const FFN_OPTIONS: Record<string, string> = {
  sequential: 'sequential',
  parallel: 'parallel',
  pfeiffer: 'after_norm',
  none: 'none',
};

function widthOf(mode: string, width: number): Record<string, number> {
  return mode === 'none' ? {} : { attention_bottleneck: width };
}

/** Gates are made of the logits of a prefix that BART's attention reads beside its own keys. */
function requireGates(mode: string, option: string, isPair: boolean): void {
  const isPrefix = mode.startsWith('prefix');
  // BART takes no other mode at its attention, with or without gates.
  if (isPair && ((isPrefix && option.startsWith('cross')) || !(isPrefix || mode === 'adapter')))
    return;
  throw cannot(
    'attn-composition',
    isPair
      ? `gate_add with ${mode} and option ${option} on BART (UnboundLocalError)`
      : `gate_add with ${mode} in an encoder (RuntimeError)`,
    '--attn_composition add, as the scripts have it',
  );
}

function placeOfAdapter(option: string, isPair: boolean): string {
  if (['sequential', 'parallel', 'concat'].includes(option)) return option;
  if (isPair)
    throw cannot('attn-option', `${option} with mode adapter on BART (ValueError)`, 'a prefix');
  // Nothing is built at an encoder's attention.
  return 'none';
}

/** Its mask has as many places as --mid_dim says. */
function requirePadded({ midDim = 800, maxSeqLength = DEFAULT_TOKENS.glue }: RunOptions): void {
  if (midDim === maxSeqLength) return;
  throw cannot(
    'attn-option',
    `concat with --mid_dim ${midDim} and rows of ${maxSeqLength} tokens (RuntimeError)`,
    `--mid_dim ${maxSeqLength}`,
  );
}

function findPrefixUse(option: string, composition: string, isPair: boolean): string | undefined {
  const isGated = composition === 'gate_add';
  if (!isPair)
    return { cross_attn: 'cross', cross_attn_noln: 'cross_plain' }[option] ?? 'cross_relu';
  if (option === 'cross_attn_noln') return isGated ? undefined : 'cross_plain';
  if (option === 'cross_attn') return isGated ? 'cross_gated' : 'cross';
  return isGated ? 'cross_relu_gated' : 'cross_relu_normed';
}

function readSchedule({ lrSchedulerType }: PublishedOptions): string | undefined {
  const [type] = lrSchedulerType ?? [];
  if (type === undefined || type === 'linear') return type;
  if (type === 'constant' || type === 'constant_with_warmup') return 'constant';
  throw new ConfigError({
    where: '--lr-scheduler-type',
    message: `${type} is not implemented; must be linear, constant or constant_with_warmup`,
  });
}

function readNumber(
  options: PublishedOptions,
  ...keys: (keyof PublishedOptions)[]
): number | undefined {
  for (const key of keys) {
    const [text] = options[key] ?? [];
    if (text === undefined) continue;
    const value = Number(text);
    if (text !== '' && Number.isFinite(value)) return value;
    const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new ConfigError({ where: `--${flag}`, message: `"${text}" is not a number` });
  }
  return undefined;
}

function cannot(flag: string, what: string, nearest: string): ConfigError {
  const message = `the published code cannot run ${what}; nearest here: ${nearest}`;
  return new ConfigError({ where: `--${flag}`, message });
}
