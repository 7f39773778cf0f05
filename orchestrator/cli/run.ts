/** `sa-orch run`: one trial, by the flags of the seed scripts. */
import { Command, Option } from 'commander';
import { ADAPTER_KIND_NAMES } from '../config/adapter-kinds';
import { ConfigError, type Problem } from '../config/errors';
import { sweepConfigFrom } from '../config/load';
import { PRUNER_NAMES } from '../config/pruners';
import type { SweepConfig } from '../config/sweep-config';
import {
  addJsonOption,
  addPlaceOptions,
  addServiceOptions,
  parseInteger,
  parseNumber,
  type PlaceOptions,
  type ServiceOptions,
} from './options';
import { runAction, UserError } from './output';
import { launch } from './start';

type Mode = 'adapter' | 'lora' | 'prefix' | 'none';

interface RunOptions extends PlaceOptions, ServiceOptions {
  task: string;
  backbone?: string;
  dataDir?: string;
  adapter?: string;
  attnMode?: Mode;
  attnOption?: string;
  ffnMode?: Mode;
  ffnOption?: string;
  attnBn?: number;
  ffnBn?: number;
  loraAlpha?: number;
  pruner: string;
  sparsity?: number;
  scope?: string;
  scoringRows?: number;
  rounds?: number;
  seed: number;
  epochs?: number;
  batchSize?: number;
  learningRate?: number;
  rows?: number;
  detach?: boolean;
  json?: boolean;
}

export function runCommand(): Command {
  const command = new Command('run')
    .description('run one trial (a sweep of one)')
    .requiredOption('--task <name>', 'a GLUE task, for example mrpc')
    .addOption(new Option('--adapter <kind>', 'named adapter (default: houlsby)').choices(ADAPTER_KIND_NAMES))
    .addOption(new Option('--attn-mode <name>', "beside attention, instead of the kind's").choices(['adapter', 'lora', 'prefix', 'none']))
    .addOption(new Option('--attn-option <name>', 'where an adapter stands (default: sequential)').choices(['sequential', 'parallel']))
    .addOption(new Option('--ffn-mode <name>', "beside the feed-forward block, instead of the kind's").choices(['adapter', 'lora', 'none']))
    .addOption(
      new Option('--ffn-option <name>', 'where an adapter stands (default: sequential)').choices(['sequential', 'parallel', 'pfeiffer']),
    )
    .option('--attn-bn <r>', "beside attention: bottleneck, LoRA's rank or the prefix's length", parseInteger)
    .option('--ffn-bn <r>', "beside the feed-forward block: bottleneck or LoRA's rank", parseInteger)
    .option('--lora-alpha <x>', "LoRA's α; the update is α / r times its product", parseNumber)
    .addOption(new Option('--pruner <name>', 'saliency criterion').choices(PRUNER_NAMES).default('none'))
    .option('--sparsity <fraction>', 'fraction of prunable weights removed, in [0, 1)', parseNumber)
    .addOption(new Option('--scope <name>', 'where scores are compared').choices(['global', 'local']))
    .option('--scoring-rows <n>', 'training rows behind a score of snip or grasp', parseInteger)
    .option('--rounds <n>', 'rounds of snip, grasp or synflow', parseInteger)
    .option('--seed <n>', 'seed', parseInteger, 1)
    .option('--epochs <n>', 'length of training', parseNumber)
    .option('--batch-size <n>', 'rows a step', parseInteger)
    .option('--learning-rate <x>', 'peak learning rate', parseNumber)
    .option('--rows <n>', 'at most this many training rows', parseInteger)
    .option('--backbone <name>', 'a Hugging Face directory, a hub id, or all-MiniLM-L6-v2')
    .option('--data-dir <dir>', 'GLUE files: the folder that has MRPC/, RTE/, …')
    .option('--detach', 'leave it running and return')
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  sa-orch run --task mrpc --pruner snip --sparsity 0.4 --attn-bn 64 --ffn-bn 64\n' +
        '  sa-orch run --task mrpc --adapter mam --pruner synflow --sparsity 0.8\n' +
        '  sa-orch run --task rte --attn_mode lora --attn_bn 8 --ffn_mode adapter --ffn_option parallel --ffn_bn 64\n' +
        '\nFlags may be written with underscores. An option of another mode than adapter stands for nothing. --sparsity is the fraction\n' +
        "removed; the official scripts' flag of that name is the fraction kept.",
    );
  return addJsonOption(addServiceOptions(addPlaceOptions(command))).action((options: RunOptions) =>
    runAction(options.json === true, async () => {
      checkSparsity(options);
      await launch({ config: configOf(options), profileReason: null }, options);
    }),
  );
}

/** Said in the words of the flags, which the checks of a sweep file would not use. */
function checkSparsity({ pruner, sparsity }: RunOptions): void {
  if (pruner !== 'none' && sparsity === undefined) {
    throw new UserError(`--pruner ${pruner} needs --sparsity, the fraction of weights to remove, in [0, 1)`, 2);
  }
  if (pruner === 'none' && sparsity !== undefined) {
    throw new UserError(`--sparsity needs a --pruner: ${PRUNER_NAMES.filter((name) => name !== 'none').join(', ')}`, 2);
  }
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
};

/** @throws ConfigError that names flags, where a sweep file's would name fields */
export function configOf(options: RunOptions): SweepConfig {
  try {
    return sweepConfigFrom(`run-${options.task}`, settingsOf(options));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map(inFlags));
  }
}

/** `compare[0].scoring_rows: 0 is …` becomes `--scoring-rows: 0 is …`. */
function inFlags({ where, message }: Problem): Problem {
  const [, field, rest] = /^([^:\s]+): (.*)$/s.exec(message) ?? [];
  if (field === undefined || rest === undefined) return { where, message };
  const own = FLAGS[field] ?? `--${field.replace(/^.*\./, '').replaceAll('_', '-')}`;
  return { where: own, message: rest };
}

/** Settings before their checks: what the flags say may still be wrong. */
type Settings = Parameters<typeof sweepConfigFrom>[1];

/** The flags as a sweep file would say them; checks and defaults are those of sweep files. */
function settingsOf(options: RunOptions): Settings {
  const pruned = options.pruner !== 'none';
  return {
    backbone: options.backbone,
    tasks: [options.task],
    adapter: defined({
      kind: options.adapter,
      attention: moduleOf(options.attnMode, options.attnOption),
      ffn: moduleOf(options.ffnMode, options.ffnOption),
      attention_bottleneck: options.attnBn,
      ffn_bottleneck: options.ffnBn,
      lora_alpha: options.loraAlpha,
    }),
    compare: [
      defined({
        pruner: options.pruner,
        sparsity: options.sparsity,
        scope: pruned ? options.scope : undefined,
        scoring_rows: options.scoringRows,
        rounds: options.rounds,
      }),
    ],
    seeds: [options.seed],
    rows: options.rows,
    train: defined({ epochs: options.epochs, batch_size: options.batchSize, learning_rate: options.learningRate }),
  };
}

/**
 * The seed scripts' mode and option as one module. Their option says where a module of mode adapter stands, and is written beside other modes as
 * well; alone it stands for mode adapter, their default.
 */
function moduleOf(mode: Mode | undefined, option: string | undefined): string | undefined {
  if (mode === undefined && option === undefined) return undefined;
  if (mode !== undefined && mode !== 'adapter') return mode;
  return option === 'pfeiffer' ? 'after_norm' : (option ?? 'sequential');
}

function defined(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
