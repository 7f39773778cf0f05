/** `sa-orch run`: one trial, by the flags of the seed scripts. */
import { Command, Option } from 'commander';
import { sweepConfigFrom } from '../config/load';
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

interface RunOptions extends PlaceOptions, ServiceOptions {
  task: string;
  backbone?: string;
  dataDir?: string;
  adapter: string;
  attnBn?: number;
  ffnBn?: number;
  pruner: string;
  sparsity?: number;
  scope?: string;
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
    .addOption(new Option('--adapter <kind>', 'adapter kind').choices(['houlsby', 'pfeiffer']).default('houlsby'))
    .option('--attn-bn <width>', 'bottleneck beside attention', parseInteger)
    .option('--ffn-bn <width>', 'bottleneck beside the feed-forward block', parseInteger)
    .addOption(new Option('--pruner <name>', 'saliency criterion').choices(['none', 'rand', 'mag', 'snip']).default('none'))
    .option('--sparsity <fraction>', 'fraction of prunable weights removed, in [0, 1)', parseNumber)
    .addOption(new Option('--scope <name>', 'where scores are compared').choices(['global', 'local']))
    .option('--seed <n>', 'seed', parseInteger, 1)
    .option('--epochs <n>', 'length of training', parseNumber)
    .option('--batch-size <n>', 'rows a step', parseInteger)
    .option('--learning-rate <x>', 'peak learning rate', parseNumber)
    .option('--rows <n>', 'at most this many training rows', parseInteger)
    .option('--backbone <name>', 'a Hugging Face directory, a hub id, or all-MiniLM-L6-v2')
    .option('--data-dir <dir>', 'GLUE files: the folder that has MRPC/, RTE/, …')
    .option('--detach', 'leave it running and return')
    .addHelpText('after', '\nExample:\n  sa-orch run --task mrpc --pruner snip --sparsity 0.4 --attn-bn 64 --ffn-bn 64');
  return addJsonOption(addServiceOptions(addPlaceOptions(command))).action((options: RunOptions) =>
    runAction(options.json === true, async () => {
      checkSparsity(options);
      const config = sweepConfigFrom(`run-${options.task}`, settingsOf(options));
      await launch({ config, profileReason: null }, options);
    }),
  );
}

/** Said in the words of the flags, which the checks of a sweep file would not use. */
function checkSparsity({ pruner, sparsity }: RunOptions): void {
  if (pruner !== 'none' && sparsity === undefined) {
    throw new UserError(`--pruner ${pruner} needs --sparsity, the fraction of weights to remove, in [0, 1)`, 2);
  }
  if (pruner === 'none' && sparsity !== undefined) {
    throw new UserError('--sparsity needs a --pruner: rand, mag or snip', 2);
  }
}

/** Settings before their checks: what the flags say may still be wrong. */
type Settings = Parameters<typeof sweepConfigFrom>[1];

/** The flags as a sweep file would say them; checks and defaults are those of sweep files. */
function settingsOf(options: RunOptions): Settings {
  const pruned = options.pruner !== 'none';
  return {
    backbone: options.backbone,
    tasks: [options.task],
    adapter: defined({ kind: options.adapter, attention_bottleneck: options.attnBn, ffn_bottleneck: options.ffnBn }),
    compare: [defined({ pruner: options.pruner, sparsity: options.sparsity, scope: pruned ? options.scope : undefined })],
    seeds: [options.seed],
    rows: options.rows,
    train: defined({ epochs: options.epochs, batch_size: options.batchSize, learning_rate: options.learningRate }),
  };
}

function defined(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
