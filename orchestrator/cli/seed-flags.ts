/**
 * Flags of the scripts published with SparseAdapter (Transformers' and their own) that have a
 * different name here, or no counterpart.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ConfigError, type Problem } from '../base/errors';
import { parseInteger, parseNumber } from './options';

const GROUP = 'Flags of the published scripts with another name here:';

/** Their flag, our flag of the same meaning, and how its value is read. */
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

const LEAVE_OUT = 'remove it';
const TRAIN_KEYS = 'can be set in a sweep file, under train';
const OWN_DATA = 'describe a task of your own in a sweep file (README.md, "Your own rows")';
const AT_THE_END =
  'results are those of the last step, and checkpoints are written automatically: ' + LEAVE_OUT;
const ALWAYS = `a run always trains and evaluates: ${LEAVE_OUT}`;
const NO_DROPOUT = `modules have no dropout of their own: ${LEAVE_OUT}`;
const MATRICES = `only down and up matrices are pruned: ${LEAVE_OUT}`;
const NO_EFFECT = 'has no effect in the published code';

/** What to do instead of each flag that has no meaning here. */
const INSTEAD: Record<string, string> = {
  'unfreeze-params':
    'the adapter determines what is trained (the whole backbone: --adapter full): ' +
    `${LEAVE_OUT}`,
  fp16: 'is not implemented; use --precision bf16',
  bf16: 'use --precision bf16',
  tf32: 'use --precision tf32',
  'output-dir': 'use --root <dir>; the files of a trial are in trials/<id>/ there',
  'overwrite-output-dir': `nothing is overwritten, and finished trials are not rerun: ${LEAVE_OUT}`,
  'do-train': ALWAYS,
  'do-eval': ALWAYS,
  'do-predict': `predictions for the validation rows are always kept: ${LEAVE_OUT}`,
  'per-device-eval-batch-size': `predictions do not depend on it: ${LEAVE_OUT}`,
  'gradient-accumulation-steps':
    'use --batch-size, the number of rows per step, however they are computed',
  'device-ids': 'use --device',
  'metric-for-best-model': AT_THE_END,
  'load-best-model-at-end': AT_THE_END,
  'evaluation-strategy': AT_THE_END,
  'eval-steps': AT_THE_END,
  'save-strategy': AT_THE_END,
  'save-steps': AT_THE_END,
  'save-total-limit': AT_THE_END,
  'logging-steps': `each trial's losses are in its metrics.jsonl: ${LEAVE_OUT}`,
  'resume-from-checkpoint': `the same command resumes from the last checkpoint: ${LEAVE_OUT}`,
  'max-steps': TRAIN_KEYS,
  'lr-scheduler-type': TRAIN_KEYS,
  'max-grad-norm': TRAIN_KEYS,
  'adam-beta1': TRAIN_KEYS,
  'adam-beta2': TRAIN_KEYS,
  'adam-epsilon': TRAIN_KEYS,
  'warmup-steps': 'use --warmup-ratio, a fraction of all steps',
  'max-train-samples': 'use --rows <n>',
  'max-eval-samples': 'can be set in a sweep file, as validation_rows',
  'val-max-target-length':
    'references are never cut, and --max-length limits what is generated: ' + LEAVE_OUT,
  'predict-with-generate': `summaries are always generated: ${LEAVE_OUT}`,
  'source-prefix': `texts are used unchanged: ${LEAVE_OUT}`,
  'ignore-pad-token-for-loss': `no loss includes padding: ${LEAVE_OUT}`,
  'pad-to-max-length': `no row is padded: ${LEAVE_OUT}`,
  'dataset-name': OWN_DATA,
  'train-file': OWN_DATA,
  'validation-file': OWN_DATA,
  'config-name': `configuration and tokenizer are the backbone's: ${LEAVE_OUT}`,
  'tokenizer-name': `configuration and tokenizer are the backbone's: ${LEAVE_OUT}`,
  'cache-dir': 'set SA_ORCH_CACHE instead',
  'attn-composition': `applies to cross_attn, which is not implemented: ${LEAVE_OUT}`,
  'prefix-dropout': NO_DROPOUT,
  'lora-dropout': NO_DROPOUT,
  'lora-init':
    'use --ffn-adapter-init-option bert or lora, which applies to all matrices of an adapter',
  'load-path': `a run starts from its own initialization: ${LEAVE_OUT}`,
  'prune-batch-size': `all scoring rows are scored together: ${LEAVE_OUT}`,
  'prune-bias': MATRICES,
  'prune-batchnorm': MATRICES,
  'prune-residual': MATRICES,
  'prune-train-mode': `scores are computed with dropout off: ${LEAVE_OUT}`,
  compression: `${NO_EFFECT}: ${LEAVE_OUT}`,
  structured: `${NO_EFFECT}; to remove whole bottleneck units use --structure units`,
};

/** Accepts all of them, for `resolveSeedFlags` to read. */
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
 * Replaces their names by ours.
 *
 * @throws ConfigError for each flag that has no meaning here, with what to do instead, and for each
 *   setting given under both names
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
        message: `is another name for --${ours}; give only one of them`,
      });
    }
    given[attribute(ours)] = value;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return given as T;
}

/**
 * What to say of `--sparsity` to someone who writes flags as the published scripts do, and may
 * expect their meaning; undefined if nothing. typed: the command line as it was typed.
 */
export function explainSparsity(
  options: { sparsity?: number; compat?: string },
  typed: readonly string[],
): string | undefined {
  const { sparsity, compat } = options;
  const given = options as Record<string, unknown>;
  const isTheirs =
    ALIASES.some(([theirs]) => given[attribute(theirs)] !== undefined) ||
    typed.some((word) => /^--[a-z]+_/.test(word));
  if (sparsity === undefined || compat !== undefined || !isTheirs) return undefined;
  const percent = `${Number((100 * sparsity).toFixed(2))} %`;
  return (
    `${sparsity} removes ${percent} here; in the published scripts it keeps ${percent}, ` +
    'as with --compat official'
  );
}

/** Commander's name for the option: `pruneEpochs` for `prune-epochs`. */
function attribute(flag: string): string {
  return new Option(`--${flag}`).attributeName();
}

/** Their scripts' switches may be given alone or with a value. */
export function parseSwitch(text: string): boolean {
  if (/^(true|t|yes|y|1)$/i.test(text)) return true;
  if (/^(false|f|no|n|0)$/i.test(text)) return false;
  throw new InvalidArgumentError('must be true or false; without a value it is true');
}

export function parseScalar(text: string): number {
  if (text === 'learnable_scalar')
    throw new InvalidArgumentError('a learned scale is not implemented; must be a number above 0');
  return parseNumber(text);
}
