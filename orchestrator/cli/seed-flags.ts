/**
 * Flags of the scripts published with SparseAdapter (Transformers' and theirs) that are another
 * name here, or none.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ConfigError, type Problem } from '../base/errors';
import { parseInteger, parseNumber } from './options';

const GROUP = 'Flags of the published scripts that have another name here:';

/** Their flag, ours that means the same, and how its value is read. */
const ALIASES = [
  ['task-name', 'task', String],
  ['model-name-or-path', 'backbone', String],
  ['mask-scope', 'scope', String],
  ['prune-epochs', 'rounds', parseInteger],
  ['num-train-epochs', 'epochs', parseNumber],
  ['per-device-train-batch-size', 'batch-size', parseInteger],
  ['max-source-length', 'max-seq-length', parseInteger],
  ['label-smoothing-factor', 'label-smoothing', parseNumber],
] as const;

const LEAVE_OUT = 'leave it out';
const TRAIN_KEYS = 'a sweep file has a key for it, under train';
const OWN_DATA = 'a task of your own is described in a sweep file (README.md, "Your own data")';
const AT_THE_END =
  'results are those of the last step, and checkpoints come by themselves: ' + LEAVE_OUT;
const ALWAYS = `a run always trains and evaluates: ${LEAVE_OUT}`;
const NO_DROPOUT = `modules have no dropout of their own: ${LEAVE_OUT}`;
const MATRICES = `down and up matrices alone are pruned: ${LEAVE_OUT}`;
const NO_EFFECT = 'has no effect in the published code';

/** What to do instead of each flag that has no meaning here. */
const INSTEAD: Record<string, string> = {
  'unfreeze-params':
    'what is trained follows from the adapter (all of the backbone: --adapter full): ' +
    `${LEAVE_OUT}`,
  fp16: '--precision bf16 is the half precision that is built',
  bf16: '--precision bf16',
  tf32: '--precision tf32',
  'output-dir': "--root <dir> is where all results go; a trial's are in trials/<id>/ there",
  'overwrite-output-dir': `nothing is overwritten, and what is done is not run again: ${LEAVE_OUT}`,
  'do-train': ALWAYS,
  'do-eval': ALWAYS,
  'do-predict': `predictions for the validation rows are always kept: ${LEAVE_OUT}`,
  'per-device-eval-batch-size': `predictions do not depend on it: ${LEAVE_OUT}`,
  'gradient-accumulation-steps':
    '--batch-size is the number of rows in a step, however they are computed',
  'device-ids': '--device says where the trainer computes',
  'metric-for-best-model': AT_THE_END,
  'load-best-model-at-end': AT_THE_END,
  'evaluation-strategy': AT_THE_END,
  'eval-steps': AT_THE_END,
  'save-strategy': AT_THE_END,
  'save-steps': AT_THE_END,
  'save-total-limit': AT_THE_END,
  'logging-steps': `each trial's losses are in its metrics.jsonl: ${LEAVE_OUT}`,
  'resume-from-checkpoint': 'the same command again goes on where it was',
  'max-steps': TRAIN_KEYS,
  'lr-scheduler-type': TRAIN_KEYS,
  'max-grad-norm': TRAIN_KEYS,
  'adam-beta1': TRAIN_KEYS,
  'adam-beta2': TRAIN_KEYS,
  'adam-epsilon': TRAIN_KEYS,
  'warmup-steps': '--warmup-ratio is the same as a fraction of all steps',
  'max-train-samples': '--rows <n>',
  'max-eval-samples': 'a sweep file has validation_rows',
  'val-max-target-length':
    'summaries are scored against whole references, and --max-length limits them: ' + LEAVE_OUT,
  'predict-with-generate': `summaries are always generated: ${LEAVE_OUT}`,
  'source-prefix': `texts are taken as they are: ${LEAVE_OUT}`,
  'ignore-pad-token-for-loss': `no padding is in any loss: ${LEAVE_OUT}`,
  'pad-to-max-length': `no row is padded: ${LEAVE_OUT}`,
  'dataset-name': OWN_DATA,
  'train-file': OWN_DATA,
  'validation-file': OWN_DATA,
  'config-name': `configuration and tokenizer are the backbone's: ${LEAVE_OUT}`,
  'tokenizer-name': `configuration and tokenizer are the backbone's: ${LEAVE_OUT}`,
  'cache-dir': 'SA_ORCH_CACHE names the cache',
  'attn-composition': `is for cross_attn, which is not built: ${LEAVE_OUT}`,
  'prefix-dropout': NO_DROPOUT,
  'lora-dropout': NO_DROPOUT,
  'lora-init':
    'one init holds for all matrices of an adapter: --ffn-adapter-init-option bert or lora',
  'load-path': `a run begins at its own initialization: ${LEAVE_OUT}`,
  'prune-batch-size': `scores are of all scoring rows together: ${LEAVE_OUT}`,
  'prune-bias': MATRICES,
  'prune-batchnorm': MATRICES,
  'prune-residual': MATRICES,
  'prune-train-mode': `scores are taken with dropout off: ${LEAVE_OUT}`,
  compression: `${NO_EFFECT}: ${LEAVE_OUT}`,
  structured: `${NO_EFFECT}; --structure units removes whole bottleneck units`,
};

/** Accepts them all, to be read by `resolveSeedFlags`. */
export function addSeedFlags(command: Command): Command {
  for (const [theirs, ours, parse] of ALIASES) {
    command.addOption(
      new Option(`--${theirs} <value>`, `--${ours}`)
        .argParser<string | number>(parse)
        .helpGroup(GROUP),
    );
  }
  for (const flag of Object.keys(INSTEAD))
    command.addOption(new Option(`--${flag} [value...]`).hideHelp());
  return command;
}

/**
 * The options with our names for theirs.
 *
 * @throws ConfigError for each flag that has no meaning here, with what to do instead, and for a
 *   setting that is given by both names
 */
export function resolveSeedFlags<T extends object>(options: T): T {
  const given = { ...options } as Record<string, unknown>;
  const problems: Problem[] = Object.entries(INSTEAD)
    .filter(([flag]) => given[attribute(flag)] !== undefined)
    .map(([flag, instead]) => ({ where: `--${flag}`, message: instead }));
  for (const [theirs, ours] of ALIASES) {
    const value = given[attribute(theirs)];
    if (value === undefined) continue;
    if (given[attribute(ours)] !== undefined) {
      problems.push({
        where: `--${theirs}`,
        message: `is --${ours} by another name; must be given once`,
      });
    }
    given[attribute(ours)] = value;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return given as T;
}

/** What commander calls the option: `prune-epochs` is `pruneEpochs`. */
function attribute(flag: string): string {
  return new Option(`--${flag}`).attributeName();
}

/** Their scripts' switches are given alone, or with a word. */
export function parseSwitch(text: string): boolean {
  if (/^(true|t|yes|y|1)$/i.test(text)) return true;
  if (/^(false|f|no|n|0)$/i.test(text)) return false;
  throw new InvalidArgumentError('must be true or false, or left out for true');
}

export function parseScalar(text: string): number {
  if (text === 'learnable_scalar')
    throw new InvalidArgumentError(
      'a scale that is learned is not built; must be a number above 0',
    );
  return parseNumber(text);
}
