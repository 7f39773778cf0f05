/** From the flags of `sa-orch run` to what a sweep file would say. Pure. */
import type { AdapterInitName } from '../../common/vocabulary/adapter-inits';
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { PRUNER_NAMES } from '../../common/vocabulary/pruners';
import { COMPAT_NAMES } from '../config/compat';
import { ConfigError, UserError, type Problem } from '../base/errors';
import { sweepConfigFrom } from '../config/load';
import type { SweepConfig } from '../config/sweep-config';
import { glueTask, numLabels } from '../data/glue-tasks';
import { PUBLISHED_TASK_NAMES, publishedKind } from '../data/published-tasks';
import { QUESTION_OUTPUTS } from '../data/squad-tasks';
import { attentionOf, ffnOf } from './module-flags';
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
  docStride?: number;
  maxTargetLength?: number;
  labelSmoothing?: number;
  numBeams?: number;
  minLength?: number;
  maxLength?: number;
  /** true where it is not given: commander takes --no-… for a switch that is on. */
  repeatNgramSize?: number | true;
  lengthPenalty?: number;
  rows?: number;
  detach?: boolean;
  json?: boolean;
}

/** The flag of a field, where the two have not the same name. */
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
  'generation.beams': '--num-beams',
  'generation.no_repeat_ngram': '--no-repeat-ngram-size',
};

/** @throws ConfigError that names flags, where a sweep file's would name fields */
export function configOf(given: RunOptions): SweepConfig {
  const options = resolveSeedFlags(given);
  const { task } = options;
  if (task === undefined)
    throw new ConfigError({
      where: '--task',
      message: `is missing; must be one of ${PUBLISHED_TASK_NAMES.join(', ')}`,
    });
  checkAmount(options);
  try {
    return sweepConfigFrom(`run-${task}`, settingsOf(options, task));
  } catch (error) {
    throw inFlags(error, options);
  }
}

/** Said in the words of the flags, which the checks of a sweep file would not use. */
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
 * `compare[0].scoring_rows: 0 is …` becomes `--scoring-rows: 0 is …`. What is no ConfigError is
 * left as it is.
 */
export function inFlags(error: unknown, options: RunOptions): unknown {
  if (!(error instanceof ConfigError)) return error;
  const flags = {
    ...FLAGS,
    'compare[0].rounds': isProgressive(options) ? '--prune-iterations' : '--rounds',
    'compare[0].scoring_rows':
      options.pruneDatasetRatio === undefined ? '--scoring-rows' : '--prune-dataset-ratio',
    'compare[0].control': options.invert ? '--invert' : '--shuffle',
    // Of what is wrong with all of it, the first flag that was given.
    generation: flagOf(`generation.${Object.keys(generationOf(options) ?? {})[0]}`, FLAGS),
  };
  return new ConfigError(error.problems.map((problem) => inFlag(problem, flags)));
}

function inFlag({ where, message }: Problem, flags: Record<string, string>): Problem {
  const [, field, rest] = /^([^:\s]+): (.*)$/s.exec(message) ?? [];
  if (field === undefined || rest === undefined) return { where, message };
  return { where: flagOf(field, flags), message: rest };
}

function flagOf(field: string, flags: Record<string, string>): string {
  return flags[field] ?? `--${field.replace(/^.*\./, '').replaceAll('_', '-')}`;
}

/** Settings before their checks: what the flags say may still be wrong. */
type Settings = Parameters<typeof sweepConfigFrom>[1];

/** The flags as a sweep file would say them; checks and defaults are those of sweep files. */
function settingsOf(options: RunOptions, task: string): Settings {
  const pruned = options.pruner !== 'none';
  return {
    compat: options.compat,
    backbone: options.backbone,
    precision: options.precision,
    tasks: [task],
    adapter: adapterOf(options),
    compare: [
      defined({
        pruner: options.pruner,
        sparsity: options.sparsity,
        n_m: options.nM,
        structure: options.structure,
        scope: pruned ? options.scope : undefined,
        scoring_rows: scoringRowsOf(options, task),
        schedule: options.compressionSchedule,
        control: controlOf(options),
        reinitialize: options.reinitialize,
        ...roundsOf(options),
      }),
    ],
    seeds: [options.seed],
    rows: options.rows,
    max_length: options.maxSeqLength,
    doc_stride: options.docStride,
    max_target_length: options.maxTargetLength,
    generation: generationOf(options),
    train: defined({
      epochs: options.epochs,
      batch_size: options.batchSize,
      learning_rate: options.learningRate,
      weight_decay: options.weightDecay,
      warmup: options.warmupRatio,
      label_smoothing: options.labelSmoothing,
    }),
  };
}

/** undefined where no flag of it is given: other tasks have none. */
function generationOf(options: RunOptions): Record<string, unknown> | undefined {
  const generation = defined({
    beams: options.numBeams,
    min_length: options.minLength,
    max_length: options.maxLength,
    no_repeat_ngram: options.repeatNgramSize === true ? undefined : options.repeatNgramSize,
    length_penalty: options.lengthPenalty,
  });
  return Object.keys(generation).length > 0 ? generation : undefined;
}

function adapterOf(options: RunOptions): Record<string, unknown> {
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
      '"bitfit" is not allowed with --adapter ' +
        `${options.adapter}; must be another mode, or --adapter left out`,
    );
  }
  return defined({
    kind: bitfit ? 'bitfit' : options.adapter,
    attention: bitfit ? undefined : attentionOf(attnMode, options.attnOption),
    // Their scripts write the absence of a module; beside biases there is none to write.
    ffn: bitfit && ffnMode === 'none' ? undefined : ffnOf(ffnMode, options.ffnOption),
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
 * Their scripts score on so many rows for each output of the task. A task that there is not is a
 * problem of its own.
 */
function scoringRowsOf(
  { scoringRows, pruneDatasetRatio: ratio }: RunOptions,
  task: string,
): number | undefined {
  if (ratio === undefined || !(PUBLISHED_TASK_NAMES as readonly string[]).includes(task))
    return scoringRows;
  if (scoringRows === undefined) return ratio * outputsOf(task);
  throw refusal('prune-dataset-ratio', 'is not allowed beside --scoring-rows; must be one of them');
}

/** Summarization has no outputs of its own and counts as one. */
function outputsOf(task: string): number {
  const kind = publishedKind(task);
  if (kind === 'summarization') return 1;
  return kind === 'question_answering' ? QUESTION_OUTPUTS : numLabels(glueTask(task));
}

function controlOf({ shuffle, invert }: RunOptions): string | undefined {
  if (shuffle && invert)
    throw refusal('shuffle', 'is not allowed beside --invert; must be one of them');
  return shuffle ? 'shuffled' : invert ? 'inverted' : undefined;
}

/**
 * Their scripts' one round before the first epoch, which is what they do where nothing is said, is
 * pruning at initialization.
 */
function isProgressive({ begin = 0, pruneIterations = 1 }: RunOptions): boolean {
  return begin !== 0 || pruneIterations !== 1;
}

/** Their scripts prune before each epoch from `begin` on, `prune_iterations` times. */
function roundsOf(options: RunOptions): Record<string, unknown> {
  const { begin = 0, pruneIterations = 1, rounds } = options;
  if (!isProgressive(options)) return { rounds };
  if (rounds !== undefined && rounds !== 1) {
    throw refusal(
      'rounds',
      `${rounds} is not allowed with pruning during training; must be 1 or left out: --prune-iterations has the rounds`,
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
