/** Translates the flags of `sa-orch run` into settings of a sweep file. Pure. */
import { PRUNER_NAMES, usesKey } from '../../common/vocabulary/pruners';
import { ConfigError, UserError, type Problem } from '../base/errors';
import { listUnusedKeys } from '../config/adapter-users';
import { configFromAsked } from '../config/asked';
import type { SweepSettingsInput } from '../config/schema';
import type { SweepConfig } from '../config/sweep-config';
import { adapterName } from '../sweep/adapters';
import type { Asked } from '../sweep/types';
import type { Request } from './request';
import { findPublishedTask, PUBLISHED_TASK_NAMES } from '../tasks/registry';
import { FAMILY_FLAGS, findGivenFlag, readFamilyFlags } from './family-flags';
import { chooseAttention, chooseFfn } from './module-flags';
import {
  countDevices,
  findProgram,
  findTaskName,
  readAdapter,
  readLimits,
  readScoringRows,
  readTrain,
  type Program,
} from './published-settings';
import { INITS, NORMS, type RunOptions } from './run-options';
import { resolveSeedFlags } from './seed-flags';

/** The flag of each field that has a different name. */
const FLAGS: Record<string, string> = {
  'compare[0].scoring': '--scoring-head',
  'compare[0].scoring.head': '--scoring-head',
  'compare[0].scoring.head.warm_up': '--scoring-head',
  'tasks[0]': '--task',
  'seeds[0]': '--seed',
  'adapter.kind': '--adapter',
  'adapter.attention': '--attn-mode',
  'adapter.ffn': '--ffn-mode',
  'adapter.attention_bottleneck': '--attn-bn',
  'adapter.ffn_bottleneck': '--ffn-bn',
  'adapter.scale': '--ffn-adapter-scalar',
  'adapter.learned_scale': '--ffn-adapter-scalar',
  'adapter.norm': '--ffn-adapter-layernorm-option',
  'adapter.init': '--ffn-adapter-init-option',
  'adapter.prefix_hidden': '--mid-dim',
  'compare[0].adapter': '--adapter',
  'compare[0].schedule': '--compression-schedule',
  'compare[0].progressive': '--begin',
  'compare[0].progressive.begin_epoch': '--begin',
  'train.warmup': '--warmup-ratio',
  max_length: '--max-seq-length',
  ...FAMILY_FLAGS,
};

/** The flags by our names, and how they are to be read. */
interface Read {
  options: RunOptions;
  task: string;
  program: Program;
  /** Whether the flags are those of a published script, whose defaults then apply. */
  pasted: boolean;
}

function readFlags(given: RunOptions, program: Program | undefined): Read {
  const { options: named, onlyTheirs } = resolveSeedFlags(given);
  const pasted = program !== undefined || (given.compat === undefined && onlyTheirs.length > 0);
  const compat = given.compat ?? (pasted ? 'official' : undefined);
  // Their default where none is given; a fraction of 1 prunes nothing, whatever the adapter is.
  const unnamed = compat === 'official' && named.pruner === 'none' && named.sparsity !== undefined;
  const pruner = unnamed && named.sparsity !== 1 ? 'rand' : named.pruner;
  const sparsity = unnamed && named.sparsity === 1 ? undefined : named.sparsity;
  const options = { ...named, compat, pruner, sparsity };
  const task = findTaskName(options);
  if (task === undefined)
    throw new ConfigError({
      where: '--task',
      message: `is missing; must be one of ${PUBLISHED_TASK_NAMES.join(', ')}`,
    });
  return { options, task, program: program ?? findProgram(task), pasted };
}

/** @throws ConfigError that names flags instead of a sweep file's fields */
export function buildRequest(given: RunOptions, program?: Program): Request {
  const read = readFlags(given, program);
  checkAmount(read.options);
  const [name, settings] = [`run-${read.task}`, buildSettings(read)];
  const asked: Asked = { format: 1, name, file: null, profile: null, settings };
  try {
    const config = configFromAsked(asked);
    if (read.options.compat !== 'official') checkAdapterFlags(settings, config);
    return { asked, config, profileReason: null };
  } catch (error) {
    throw inFlags(error, read.options);
  }
}

/** Refuses a flag that the modules of the adapter do not use. The published code ignores such. */
function checkAdapterFlags({ adapter = {} }: Settings, { compare }: SweepConfig): void {
  const modules = compare[0]!.adapters[0]!;
  const unused = listUnusedKeys(adapter, modules);
  if (unused.length === 0) return;
  const reason = `changes nothing in the adapter ${adapterName(modules)}; must be left out`;
  throw new ConfigError(
    unused.map((key) => ({ where: 'adapter', message: `adapter.${key}: ${reason}` })),
  );
}

/** What a user should know of how the flags were read: each a name and a sentence. */
export function explainFlags(given: RunOptions, program?: Program): [string, string][] {
  const { leftOut, onlyTheirs } = resolveSeedFlags(given);
  const { options, pasted } = readFlags(given, program);
  const said: [string, string][] = [];
  if (pasted && given.compat === undefined) {
    const why =
      program === undefined ? `${onlyTheirs[0]} is a flag of the published scripts` : program;
    said.push([
      'compat official',
      `${why}: sparsity is the fraction kept; --compat none is otherwise`,
    ]);
  }
  if (leftOut.length > 0) said.push(['left out', `without meaning here: ${leftOut.join(', ')}`]);
  if (pasted && options.batchSize === undefined) {
    const devices = countDevices(options);
    said.push(['rows per step', `those of a device times ${devices}, as --device_ids has it`]);
  }
  return said;
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
type Settings = SweepSettingsInput & { adapter?: object } & Record<string, unknown>;

/** The flags as settings of a sweep file, whose checks and defaults apply. */
function buildSettings({ options, task, program, pasted }: Read): Settings {
  const official = options.compat === 'official';
  const { unfreeze_params: ofAdapter, ...adapter } = buildAdapter(options, program);
  const limits = readLimits(options, program, pasted);
  const pruned = options.pruner !== 'none';
  const { train: trainOfFamilies, ...ofFamilies } = readFamilyFlags({ ...options });
  return {
    compat: options.compat,
    backbone: options.backbone,
    precision: options.precision,
    tasks: [task],
    adapter,
    compare: [
      defined({
        pruner: options.pruner,
        sparsity: options.sparsity,
        n_m: options.nM,
        structure: options.structure,
        scope: pruned || !official ? options.scope : undefined,
        scoring_rows: readScoringRowsFor(options, task),
        scoring: options.scoringHead === undefined ? undefined : { head: options.scoringHead },
        schedule: options.compressionSchedule,
        control: chooseControl(options),
        reinitialize: official && options.reinitialize === false ? undefined : options.reinitialize,
        ...(official ? publishedRounds(options) : buildRounds(options)),
      }),
    ],
    seeds: [options.seed],
    rows: options.rows,
    ...limits,
    unfreeze_params: ofAdapter ?? limits.unfreeze_params,
    ...ofFamilies,
    train: defined({
      ...readTrain(options, pasted),
      warmup: options.warmupRatio,
      max_minutes: options.maxMinutes,
      ...trainOfFamilies,
    }),
  };
}

function buildAdapter(
  options: RunOptions,
  program: Program,
): Record<string, unknown> & { unfreeze_params?: string } {
  const { attnMode, ffnMode, ffnAdapterScalar: scale, ffnAdapterLayernormOption: norm } = options;
  const named = attnMode !== undefined || ffnMode !== undefined;
  const init =
    ffnMode === 'lora' && options.loraInit
      ? (options.loraInit[0] as keyof typeof INITS)
      : options.ffnAdapterInitOption;
  const ofModules = {
    ffn_bottleneck: options.ffnBn,
    norm: norm && NORMS[norm],
    init: init && INITS[init],
    scale: scale === 'learnable_scalar' ? undefined : scale,
    learned_scale: scale === 'learnable_scalar' ? true : undefined,
    lora_alpha: options.loraAlpha,
  };
  if (options.compat === 'official' && named)
    return defined({ ...ofModules, ...readAdapter(options, program) });
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
    ...ofModules,
    prefix_hidden: attnMode === 'prefix_nomlp' ? 0 : options.midDim,
  });
}

/** `--length` counts 32 rows each; the published code never reads `--prune_dataset_ratio`. */
function readScoringRowsFor(options: RunOptions, task: string): number | undefined {
  if (options.compat !== 'official') return countScoringRows(options, task);
  return options.scoringRows ?? (usesKeyOf(options.pruner) ? readScoringRows(options) : undefined);
}

function usesKeyOf(pruner: string): boolean {
  const name = PRUNER_NAMES.find((each) => each === pruner);
  return name !== undefined && usesKey(name, 'scoring_rows');
}

/** Before which epochs all rounds take place. */
function publishedRounds(options: RunOptions): Record<string, unknown> {
  const { begin, pruneIterations, rounds, pruner } = options;
  if (pruner === 'none') return {};
  return {
    rounds,
    repeats: pruneIterations,
    progressive: begin === undefined || begin === 0 ? undefined : { begin_epoch: begin },
  };
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

function chooseControl({ shuffle, invert, compat }: RunOptions): string | undefined {
  // There shuffling changes nothing.
  if (compat === 'official' && invert) return 'inverted';
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
  const later = pruneIterations === 1 ? {} : { every_epochs: 1 };
  return { rounds: pruneIterations, progressive: { begin_epoch: begin, ...later } };
}

function refusal(flag: string, message: string): ConfigError {
  return new ConfigError({ where: `--${flag}`, message });
}

function defined(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
