/** `sa-orch run`: one trial, by the flags of the seed scripts. */
import { Command, Option } from 'commander';
import { ADAPTER_KIND_NAMES } from '../../common/vocabulary/adapter-kinds';
import { NAMED_STRUCTURES } from '../../common/vocabulary/mask-structures';
import { PRUNE_SCHEDULE_NAMES } from '../../common/vocabulary/prune-schedules';
import { PRUNE_SCOPE_NAMES } from '../../common/vocabulary/prune-scopes';
import { listUsersOf, PRUNER_NAMES } from '../../common/vocabulary/pruners';
import { joinOr } from '../base/join-or';
import { COMPAT_NAMES } from '../config/compat';
import { ATTN_MODES, ATTN_OPTIONS, FFN_MODES, FFN_OPTIONS } from './module-flags';
import {
  addJsonOption,
  addPlaceOptions,
  addPrecisionOption,
  addServiceOptions,
  parseInteger,
  parseNumber,
} from './options';
import { runAction } from './output';
import { configOf, inFlags, INITS, NORMS, type RunOptions } from './run-settings';
import { addSeedFlags, parseScalar, parseSwitch } from './seed-flags';
import { launch } from './start';

const EXAMPLES = `
Examples:
  sa-orch run --task mrpc --pruner snip --sparsity 0.4 --attn-bn 64 --ffn-bn 64
  sa-orch run --task mrpc --adapter mam --pruner synflow --sparsity 0.8
  sa-orch run --task rte --attn_mode lora --attn_bn 8 --ffn_mode adapter --ffn_option parallel --ffn_bn 64
  sa-orch run --task xsum --backbone facebook/bart-base --pruner snip --sparsity 0.4 --num-beams 4
  sa-orch run --compat official --task_name mrpc --model_name_or_path roberta-base --pruner snip --sparsity 0.6

Flags may be written with underscores. An option of another mode than adapter stands for nothing. --sparsity is the fraction removed; the
published scripts' flag of that name is the fraction kept, which --compat official reads. --begin and --prune-iterations prune during training,
by a round before each epoch; the scripts' own --begin 0 and --prune-iterations 1 are pruning at initialization, as without them.`;

export function runCommand(): Command {
  const command = new Command('run')
    .description('run one trial (a sweep of one)')
    .option(
      '--task <name>',
      'a task of GLUE, squad, squad_v2, xsum or cnn_dailymail, for example mrpc',
    );
  for (const add of [
    addAdapterFlags,
    addPruneFlags,
    addTrainFlags,
    addPrecisionOption,
    addSeedFlags,
    addPlaceOptions,
    addServiceOptions,
    addJsonOption,
  ])
    add(command);
  return command.addHelpText('after', EXAMPLES).action((options: RunOptions) =>
    runAction(options.json === true, async () => {
      const config = configOf(options);
      // What only backbone and data can tell is said in flags as well.
      await launch({ config, profileReason: null }, options).catch((error: unknown) => {
        throw inFlags(error, options);
      });
    }),
  );
}

function addAdapterFlags(command: Command): void {
  command
    .addOption(
      new Option('--adapter <kind>', 'named adapter (default: houlsby)').choices(
        ADAPTER_KIND_NAMES,
      ),
    )
    .addOption(
      new Option('--attn-mode <name>', "beside attention, instead of the kind's").choices(
        ATTN_MODES,
      ),
    )
    .addOption(
      new Option('--attn-option <name>', 'where an adapter stands (default: sequential)').choices(
        ATTN_OPTIONS,
      ),
    )
    .addOption(
      new Option(
        '--ffn-mode <name>',
        "beside the feed-forward block, instead of the kind's",
      ).choices(FFN_MODES),
    )
    .addOption(
      new Option('--ffn-option <name>', 'where an adapter stands (default: sequential)').choices(
        FFN_OPTIONS,
      ),
    )
    .option(
      '--attn-bn <r>',
      "beside attention: bottleneck, LoRA's rank, the prefix's or prompt's length",
      parseInteger,
    )
    .option(
      '--ffn-bn <r>',
      "beside the feed-forward block: bottleneck or LoRA's rank",
      parseInteger,
    )
    .option('--lora-alpha <x>', "LoRA's α; the update is α / r times its product", parseNumber)
    .option('--mid-dim <n>', "inner width of the prefix's MLP", parseInteger)
    .addOption(
      new Option(
        '--ffn-adapter-layernorm-option <name>',
        'where adapters normalize: their input, output',
      ).choices(Object.keys(NORMS)),
    )
    .addOption(
      new Option(
        '--ffn-adapter-init-option <name>',
        'bert: both matrices Gaussian; lora: up zero',
      ).choices(Object.keys(INITS)),
    )
    .option('--ffn-adapter-scalar <x>', 's in x + s · adapter(x)', parseScalar);
}

function addPruneFlags(command: Command): void {
  command
    .addOption(
      new Option(
        '--compat <name>',
        "official: the published code's mask rules, defaults and sparsity",
      ).choices(COMPAT_NAMES),
    )
    .addOption(
      new Option('--pruner <name>', 'saliency criterion').choices(PRUNER_NAMES).default('none'),
    )
    .option(
      '--sparsity <fraction>',
      'fraction of prunable weights removed, in [0, 1); with --compat official kept, in (0, 1]',
      parseNumber,
    )
    .option(
      '--n-m <N:M>',
      'instead of --sparsity: of each M neighbouring weights N are kept, for example 2:4',
    )
    .addOption(
      new Option(
        '--structure <name>',
        'what is removed: single weights, or whole bottleneck units',
      ).choices(NAMED_STRUCTURES),
    )
    .addOption(new Option('--scope <name>', 'where scores are compared').choices(PRUNE_SCOPE_NAMES))
    .option(
      '--scoring-rows <n>',
      `training rows behind a score of ${joinOr(listUsersOf('scoring_rows'))}`,
      parseInteger,
    )
    .option('--prune-dataset-ratio <n>', 'the same for each output of the task', parseInteger)
    .option('--rounds <n>', `rounds of ${joinOr(listUsersOf('rounds'))}`, parseInteger)
    .addOption(
      new Option('--compression-schedule <name>', 'how the density falls over rounds').choices(
        PRUNE_SCHEDULE_NAMES,
      ),
    )
    .option(
      '--begin <epoch>',
      'prune during training, first before this epoch (the first is 0)',
      parseNumber,
    )
    .option('--prune-iterations <n>', 'prune during training, in so many rounds', parseInteger)
    .option('--shuffle [switch]', "permute the mask's entries within each matrix", parseSwitch)
    .option('--invert [switch]', 'keep the lowest scores', parseSwitch)
    .option('--reinitialize [switch]', 'draw the weights anew after masking', parseSwitch);
}

function addTrainFlags(command: Command): void {
  command
    .option('--seed <n>', 'seed', parseInteger, 1)
    .option('--epochs <n>', 'length of training', parseNumber)
    .option('--batch-size <n>', 'rows a step', parseInteger)
    .option('--learning-rate <x>', 'peak learning rate', parseNumber)
    .option('--weight-decay <x>', 'of matrices', parseNumber)
    .option('--warmup-ratio <x>', 'fraction of steps in which the learning rate rises', parseNumber)
    .option('--max-seq-length <n>', 'tokens a row at most', parseInteger)
    .option(
      '--doc-stride <n>',
      'of SQuAD: tokens that neighbouring windows of a context share',
      parseInteger,
    )
    .option('--max-target-length <n>', 'of summaries to learn from: tokens at most', parseInteger)
    .option(
      '--label-smoothing <x>',
      'of summarization: the part of the loss that is of all words alike',
      parseNumber,
    )
    .option('--num-beams <n>', 'of summarization: beams; 1 is greedy', parseInteger)
    .option('--min-length <n>', 'of summarization: generated tokens at least', parseInteger)
    .option(
      '--max-length <n>',
      "of summarization: generated tokens at most; the published scripts' counts the start as " +
        'one more',
      parseInteger,
    )
    .option(
      '--no-repeat-ngram-size <n>',
      'of summarization: no sequence of so many tokens comes twice; 0: may',
      parseInteger,
    )
    .option(
      '--length-penalty <x>',
      'of summarization: log-probabilities are divided by the length to this power',
      parseNumber,
    )
    .option('--rows <n>', 'at most this many training rows', parseInteger)
    .option('--backbone <name>', 'a Hugging Face directory, a hub id, or all-MiniLM-L6-v2')
    .option(
      '--data-dir <dir>',
      'the folder of GLUE (MRPC/, …), SQuAD (train-v1.1.json, …), …, or one with glue/, ' +
        'squad/, xsum/, cnn_dailymail/',
    )
    .option('--detach', 'leave it running and return');
}
