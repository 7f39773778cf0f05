/** Translates the flags of `sa-orch run` into settings of a sweep file. Pure. */
import type { AdapterInitName } from '../../common/vocabulary/adapter-inits';
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { PRUNER_NAMES } from '../../common/vocabulary/pruners';
import { COMPAT_NAMES } from '../config/compat';
import { ConfigError, UserError, type Problem } from '../base/errors';
import { sweepConfigFrom } from '../config/load';
import type { SweepConfig } from '../config/sweep-config';
import { findPublishedTask, PUBLISHED_TASK_NAMES } from '../tasks/registry';
import { FAMILY_FLAGS, findGivenFlag, readFamilyFlags } from './family-flags';
import { chooseAttention, chooseFfn } from './module-flags';
import type { PlaceOptions, ServiceOptions } from './options';
import { resolveSeedFlags } from './seed-flags';

/** Where the published scripts' adapters normalize and how they are drawn, in their words. */
export const NORMS = {
  in: 'before',
  out: 'after',
  none: 'none',
} as const satisfies Record<string, AdapterNormName>;
export const INITS = {
  bert: 'gaussian',
  lora: 'zero_up',
} as const satisfies Record<string, AdapterInitName>;

export interface RunOptions extends PlaceOptions, ServiceOptions {
  task?: string;
  backbone?: string;
  precision?: PrecisionName;
  dataDir?: string;
  compat?: (typeof COMPAT_NAMES)[number];
  adapter?: string;
  attnMode?: string;
  attnOption?: string;
  ffnMode?: string;
  ffnOption?: string;
  attnBn?: number;
  ffnBn?: number;
  loraAlpha?: number;
  midDim?: number;
  ffnAdapterLayernormOption?: keyof typeof NORMS;
  ffnAdapterInitOption?: keyof typeof INITS;
  ffnAdapterScalar?: number;
  pruner: string;
  sparsity?: number;
  nM?: string;
  structure?: string;
  scope?: string;
  scoringRows?: number;
  pruneDatasetRatio?: number;
  rounds?: number;
  compressionSchedule?: string;
  begin?: number;
  pruneIterations?: number;
  shuffle?: boolean;
  invert?: boolean;
  reinitialize?: boolean;
  seed: number;
  epochs?: number;
  batchSize?: number;
  learningRate?: number;
  weightDecay?: number;
  warmupRatio?: number;
  maxSeqLength?: number;
  maxMinutes?: number;
  rows?: number;
  detach?: boolean;
  json?: boolean;
}

/** The flag of each field that has a different name. */
const FLAGS: Record<string, string> = {
  'tasks[0]': '--task',
  'seeds[0]': '--seed',
  'adapter.kind': '--adapter',
  'adapter.attention': '--attn-mode',
  'adapter.ffn': '--ffn-mode',
  'adapter.attention_bottleneck': '--attn-bn',
  'adapter.ffn_bottleneck': '--ffn-bn',
  'adapter.scale': '--ffn-adapter-scalar',
  'adapter.prefix_hidden': '--mid-dim',
  'compare[0].adapter': '--adapter',
  'compare[0].schedule': '--compression-schedule',
  'compare[0].progressive': '--begin',
  'compare[0].progressive.begin_epoch': '--begin',
  'train.warmup': '--warmup-ratio',
  max_length: '--max-seq-length',
  ...FAMILY_FLAGS,
};

/** @throws ConfigError that names flags instead of a sweep file's fields */
export function buildConfig(given: RunOptions): SweepConfig {
  const options = resolveSeedFlags(given);
  const { task } = options;
  if (task === undefined)
    throw new ConfigError({
      where: '--task',
      message: `is missing; must be one of ${PUBLISHED_TASK_NAMES.join(', ')}`,
    });
  checkAmount(options);
  try {
    return sweepConfigFrom(`run-${task}`, buildSettings(options, task));
  } catch (error) {
    throw inFlags(error, options);
  }
}

/** Reported in terms of flags, which the checks of a sweep file do not know. */
function checkAmount({ pruner, sparsity, nM, compat }: RunOptions): void {
  if (pruner === 'none' && (sparsity ?? nM) !== undefined) {
    const flag = sparsity === undefined ? '--n-m' : '--sparsity';
    throw new UserError(
      `${flag} needs a --pruner: ${PRUNER_NAMES.filter((name) => name !== 'none').join(', ')}`,
      2,
    );
  }
  if (pruner !== 'none' && sparsity === undefined && nM === undefined) {
    const meaning = compat === 'official' ? 'keep, in (0, 1]' : 'remove, in [0, 1)';
    throw new UserError(
      `--pruner ${pruner} needs --sparsity, the fraction of weights to ${meaning}`,
      2,
    );
  }
}

/**
 * `compare[0].scoring_rows: 0 is …` becomes `--scoring-rows: 0 is …`. Other errors are returned
 * unchanged.
 */
export function inFlags(error: unknown, options: RunOptions): unknown {
  if (!(error instanceof ConfigError)) return error;
  const flags = {
    ...FLAGS,
    'compare[0].rounds': isProgressive(options) ? '--prune-iterations' : '--rounds',
    'compare[0].scoring_rows':
      options.pruneDatasetRatio === undefined ? '--scoring-rows' : '--prune-dataset-ratio',
    'compare[0].control': options.invert ? '--invert' : '--shuffle',
  };
  return new ConfigError(error.problems.map((problem) => inFlag(problem, flags, options)));
}

function inFlag(
  { where, message }: Problem,
  flags: Record<string, string>,
  options: RunOptions,
): Problem {
  const [, field, rest] = /^([^:\s]+): (.*)$/s.exec(message) ?? [];
  if (field === undefined || rest === undefined) return { where, message };
  // A problem with a map as a whole is reported for the first flag given.
  const flag = flags[field] ?? findGivenFlag(field, { ...options });
  return { where: flag ?? nameFlag(field, flags), message: rest };
}

function nameFlag(field: string, flags: Record<string, string>): string {
  return flags[field] ?? `--${field.replace(/^.*\./, '').replaceAll('_', '-')}`;
}

/** Settings before they are checked. */
type Settings = Parameters<typeof sweepConfigFrom>[1];

/** The flags as settings of a sweep file, whose checks and defaults apply. */
function buildSettings(options: RunOptions, task: string): Settings {
  const pruned = options.pruner !== 'none';
  const { train: trainOfFamilies, ...ofFamilies } = readFamilyFlags({ ...options });
  return {
    compat: options.compat,
    backbone: options.backbone,
    precision: options.precision,
    tasks: [task],
    adapter: buildAdapter(options),
    compare: [
      defined({
        pruner: options.pruner,
        sparsity: options.sparsity,
        n_m: options.nM,
        structure: options.structure,
        scope: pruned ? options.scope : undefined,
        scoring_rows: countScoringRows(options, task),
        schedule: options.compressionSchedule,
        control: chooseControl(options),
        reinitialize: options.reinitialize,
        ...buildRounds(options),
      }),
    ],
    seeds: [options.seed],
    rows: options.rows,
    max_length: options.maxSeqLength,
    ...ofFamilies,
    train: defined({
      epochs: options.epochs,
      batch_size: options.batchSize,
      learning_rate: options.learningRate,
      weight_decay: options.weightDecay,
      warmup: options.warmupRatio,
      max_minutes: options.maxMinutes,
      ...trainOfFamilies,
    }),
  };
}

function buildAdapter(options: RunOptions): Record<string, unknown> {
  const {
    attnMode,
    ffnMode,
    ffnAdapterLayernormOption: norm,
    ffnAdapterInitOption: init,
  } = options;
  const bitfit = attnMode === 'bitfit';
  if (bitfit && options.adapter !== undefined && options.adapter !== 'bitfit') {
    throw refusal(
      'attn-mode',
      `"bitfit" is not allowed with --adapter ${options.adapter}; choose another mode or remove ` +
        '--adapter',
    );
  }
  return defined({
    kind: bitfit ? 'bitfit' : options.adapter,
    attention: bitfit ? undefined : chooseAttention(attnMode, options.attnOption),
    // Their scripts also write `none` with bitfit, where there is no module to leave out.
    ffn: bitfit && ffnMode === 'none' ? undefined : chooseFfn(ffnMode, options.ffnOption),
    attention_bottleneck: options.attnBn,
    ffn_bottleneck: options.ffnBn,
    norm: norm && NORMS[norm],
    init: init && INITS[init],
    scale: options.ffnAdapterScalar,
    lora_alpha: options.loraAlpha,
    prefix_hidden: attnMode === 'prefix_nomlp' ? 0 : options.midDim,
  });
}

/**
 * Their scripts score on this many rows per label of the task; summarization has no labels and
 * counts as one. An unknown task is reported elsewhere.
 */
function countScoringRows(
  { scoringRows, pruneDatasetRatio: ratio }: RunOptions,
  task: string,
): number | undefined {
  const published = findPublishedTask(task);
  if (ratio === undefined || published === undefined) return scoringRows;
  if (scoringRows === undefined) return ratio * Math.max(1, published.num_labels);
  throw refusal(
    'prune-dataset-ratio',
    'is not allowed together with --scoring-rows; remove one of them',
  );
}

function chooseControl({ shuffle, invert }: RunOptions): string | undefined {
  if (shuffle && invert)
    throw refusal('shuffle', 'is not allowed together with --invert; remove one of them');
  return shuffle ? 'shuffled' : invert ? 'inverted' : undefined;
}

/**
 * By default their scripts prune in one round before the first epoch, which is pruning at
 * initialization.
 */
function isProgressive({ begin = 0, pruneIterations = 1 }: RunOptions): boolean {
  return begin !== 0 || pruneIterations !== 1;
}

/** Their scripts prune `prune_iterations` times, before each epoch from `begin` on. */
function buildRounds(options: RunOptions): Record<string, unknown> {
  const { begin = 0, pruneIterations = 1, rounds } = options;
  if (!isProgressive(options)) return { rounds };
  if (rounds !== undefined && rounds !== 1) {
    throw refusal(
      'rounds',
      `${rounds} is not allowed with pruning during training; must be 1 or absent: ` +
        '--prune-iterations sets the number of rounds',
    );
  }
  return { rounds: pruneIterations, progressive: { begin_epoch: begin, every_epochs: 1 } };
}

function refusal(flag: string, message: string): ConfigError {
  return new ConfigError({ where: `--${flag}`, message });
}

function defined(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
