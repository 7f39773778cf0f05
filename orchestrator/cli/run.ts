/** `sa-orch run`: one trial, with the flags of the published scripts. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { ADAPTER_KIND_NAMES } from '../../common/vocabulary/adapter-kinds';
import { NAMED_STRUCTURES } from '../../common/vocabulary/mask-structures';
import { PRUNE_SCHEDULE_NAMES } from '../../common/vocabulary/prune-schedules';
import { PRUNE_SCOPE_NAMES } from '../../common/vocabulary/prune-scopes';
import { listUsersOf, PRUNER_NAMES } from '../../common/vocabulary/pruners';
import { SCORING_HEAD_WORDS, type ScoringHeadChoice } from '../../common/vocabulary/scoring-heads';
import { UserError } from '../base/errors';
import { joinOr } from '../base/join-or';
import { COMPAT_NAMES } from '../config/compat';
import { PUBLISHED_TASK_NAMES } from '../tasks/registry';
import { addFamilyFlags } from './family-flags';
import { ATTN_MODES, ATTN_OPTIONS, FFN_MODES, FFN_OPTIONS } from './module-flags';
import {
  addJsonOption,
  addPlacementOptions,
  addPlaceOptions,
  addPrecisionOption,
  addServiceOptions,
  DATA_DIRECTORY,
  normalizeFlags,
  parseInteger,
  parseNumber,
} from './options';
import { progressLine, progressLineOnStderr, runAction } from './output';
import { PROGRAM_NAMES, type Program } from './published-settings';
import { INITS, NORMS, type RunOptions } from './run-options';
import { buildRequest, explainFlags, inFlags } from './run-settings';
import { addSeedFlags, explainSparsity, parseScalar, parseSwitch } from './seed-flags';
import { launch } from './start';

const EXAMPLES = `
Examples:
  sa-orch run --task mrpc --pruner snip --sparsity 0.4 --attn-bn 64 --ffn-bn 64
  sa-orch run --task mrpc --adapter mam --pruner synflow --sparsity 0.8
  sa-orch run --task rte --attn_mode lora --attn_bn 8 --ffn_mode adapter --ffn_option parallel \\
      --ffn_bn 64
  sa-orch run --task xsum --backbone facebook/bart-base --pruner snip --sparsity 0.4 \\
      --num-beams 4
  sa-orch run --compat official --task_name mrpc --model_name_or_path roberta-base \\
      --pruner snip --sparsity 0.6
  sa-orch run glue -- --task_name mrpc --do_train --unfreeze_params ef_ --pruner rand --sparsity 1.

A published script's flags are taken as they are; docs/published-scripts.md has all of them.
Flags may be written with underscores. --attn-option and --ffn-option apply only to mode adapter.
--sparsity is the fraction removed; in the published scripts the flag of that name is the fraction
kept, and --compat official reads it that way. --begin and --prune-iterations prune during training,
one round before each epoch; --begin 0 with --prune-iterations 1, the scripts' own defaults, prunes
at initialization.`;

export function runCommand(): Command {
  const command = new Command('run')
    .description('run one trial (a sweep of one)')
    .argument(
      '[program]',
      `a published program, whose flags follow after --: ${joinOr(PROGRAM_NAMES)}`,
    )
    .argument('[flags...]', 'its flags, as its script has them')
    .option('--task <name>', `a published task: ${PUBLISHED_TASK_NAMES.join(', ')}`);
  for (const add of [
    addAdapterFlags,
    addPruneFlags,
    addTrainFlags,
    addPrecisionOption,
    addSeedFlags,
    addPlaceOptions,
    addServiceOptions,
    addPlacementOptions,
    addJsonOption,
  ])
    add(command);
  return command
    .addHelpText('after', EXAMPLES)
    .action((program: string | undefined, flags: string[], given: RunOptions) =>
      runAction(given.json === true, async () => {
        const { name, options } = readProgram(program, flags, given);
        const request = buildRequest(options, name);
        const said = explainFlags(options, name);
        const meaning = said.length > 0 ? undefined : explainSparsity(options, process.argv);
        const onProgress = options.json ? progressLineOnStderr : progressLine;
        for (const [about, text] of said) onProgress('·', about, text);
        if (meaning !== undefined) onProgress('!', 'sparsity', meaning);
        // Problems that only backbone and data reveal are reported in terms of flags, too.
        await launch(request, options).catch((error: unknown) => {
          throw inFlags(error, options);
        });
      }),
    );
}

/** `run glue -- <flags>`: the flags of one of the published programs. */
export function readProgram(
  program: string | undefined,
  flags: readonly string[],
  given: RunOptions,
): { name: Program | undefined; options: RunOptions } {
  if (program === undefined) return { name: undefined, options: given };
  const name = PROGRAM_NAMES.find((each) => each === program);
  if (name === undefined) {
    throw new UserError(
      `run ${program}: must be followed by flags, or by one of ${PROGRAM_NAMES.join(', ')}, ` +
        '-- and its flags',
      2,
    );
  }
  const command = runCommand().exitOverride();
  const { operands, unknown } = command.parseOptions(normalizeFlags(flags));
  const [wrong] = [...operands, ...unknown];
  if (wrong !== undefined)
    throw new UserError(`run ${program}: ${wrong} is not a flag of the published programs`, 2);
  return { name, options: { ...given, ...command.opts() } };
}

function addAdapterFlags(command: Command): void {
  command
    .addOption(
      new Option('--adapter <kind>', 'named adapter (default: houlsby)').choices(
        ADAPTER_KIND_NAMES,
      ),
    )
    .addOption(
      new Option('--attn-mode <name>', 'module at attention, instead of that of --adapter').choices(
        ATTN_MODES,
      ),
    )
    .addOption(
      new Option('--attn-option <name>', 'placement of an adapter (default: sequential)').choices(
        ATTN_OPTIONS,
      ),
    )
    .addOption(
      new Option(
        '--ffn-mode <name>',
        'module at the feed-forward block, instead of that of --adapter',
      ).choices(FFN_MODES),
    )
    .addOption(
      new Option('--ffn-option <name>', 'placement of an adapter (default: sequential)').choices(
        FFN_OPTIONS,
      ),
    )
    .option(
      '--attn-bn <r>',
      'at attention: bottleneck, rank of LoRA, or length of the prefix or prompt',
      parseInteger,
    )
    .option('--ffn-bn <r>', 'at the feed-forward block: bottleneck or rank of LoRA', parseInteger)
    .option('--lora-alpha <x>', 'α of LoRA, whose update is scaled by α / r', parseNumber)
    .option('--mid-dim <n>', 'inner width of the MLP that produces the prefix', parseInteger)
    .addOption(
      new Option(
        '--ffn-adapter-layernorm-option <name>',
        'layer norm of an adapter: at its input, at its output, or none',
      ).choices(Object.keys(NORMS)),
    )
    .addOption(
      new Option(
        '--ffn-adapter-init-option <name>',
        'bert: both matrices Gaussian; lora: up is zero',
      ).choices(Object.keys(INITS)),
    )
    .option('--ffn-adapter-scalar <x>', 's in x + s · adapter(x)', parseScalar);
}

function addPruneFlags(command: Command): void {
  command
    .addOption(
      new Option(
        '--compat <name>',
        'official: mask rules, defaults and meaning of sparsity of the published code',
      ).choices(COMPAT_NAMES),
    )
    .addOption(
      new Option('--pruner <name>', 'saliency criterion').choices(PRUNER_NAMES).default('none'),
    )
    .option(
      '--sparsity <fraction>',
      'fraction of prunable weights to remove, in [0, 1); with --compat official, fraction to ' +
        'keep, in (0, 1]',
      parseNumber,
    )
    .option(
      '--n-m <N:M>',
      'instead of --sparsity: keep N of every M neighbouring weights, for example 2:4',
    )
    .addOption(
      new Option(
        '--structure <name>',
        'remove individual weights or whole bottleneck units',
      ).choices(NAMED_STRUCTURES),
    )
    .addOption(
      new Option(
        '--scope <name>',
        'one threshold for the whole adapter, or one per matrix',
      ).choices(PRUNE_SCOPE_NAMES),
    )
    .option(
      '--scoring-rows <n>',
      `number of training rows that a score of ${joinOr(listUsersOf('scoring_rows'))} uses`,
      parseInteger,
    )
    .option(
      '--scoring-head <name>',
      'score with the head as it is drawn (published), with its bias at the prior of the labels ' +
        '(prior), or after 50 steps of its own (warm_up:50)',
      parseScoringHead,
    )
    .option('--prune-dataset-ratio <n>', 'the same, per output of the task', parseInteger)
    .option('--rounds <n>', `number of rounds for ${joinOr(listUsersOf('rounds'))}`, parseInteger)
    .addOption(
      new Option('--compression-schedule <name>', 'how density falls over the rounds').choices(
        PRUNE_SCHEDULE_NAMES,
      ),
    )
    .option(
      '--begin <epoch>',
      'prune during training, first before this epoch (counted from 0)',
      parseNumber,
    )
    .option('--prune-iterations <n>', 'prune during training, in this many rounds', parseInteger)
    .option('--shuffle [switch]', 'permute the mask within each matrix', parseSwitch)
    .option('--invert [switch]', 'keep the lowest scores', parseSwitch)
    .option('--reinitialize [switch]', 'draw the weights again after masking', parseSwitch);
}

function parseScoringHead(text: string): ScoringHeadChoice {
  const word = SCORING_HEAD_WORDS.find((each) => each === text);
  if (word !== undefined) return word;
  if (!/^warm_up:\d+$/.test(text))
    throw new InvalidArgumentError(
      `must be ${joinOr([...SCORING_HEAD_WORDS, 'warm_up:N'])}, N being a number of steps`,
    );
  return { warm_up: Number(text.slice('warm_up:'.length)) };
}

function addTrainFlags(command: Command): void {
  command
    .option('--seed <n>', 'determines every random draw of the trial', parseInteger, 1)
    .option('--epochs <n>', 'training epochs', parseNumber)
    .option('--batch-size <n>', 'rows per step', parseInteger)
    .option('--learning-rate <x>', 'peak learning rate', parseNumber)
    .option('--weight-decay <x>', 'weight decay (matrices only)', parseNumber)
    .option(
      '--warmup-ratio <x>',
      'fraction of steps over which the learning rate rises',
      parseNumber,
    )
    .option('--max-seq-length <n>', 'maximum tokens per row', parseInteger)
    .option(
      '--max-minutes <x>',
      'fail the trial if its training takes longer (default: no limit)',
      parseNumber,
    );
  addFamilyFlags(command)
    .option('--rows <n>', 'maximum training rows', parseInteger)
    .option('--backbone <name>', 'Hugging Face directory or hub id, or all-MiniLM-L6-v2')
    .option('--data-dir <dir>', DATA_DIRECTORY)
    .option('--detach', 'submit the trial and return')
    .option('--retry-failed', 'rerun the trial if it failed before');
}
