/**
 * Flags of the scripts published with SparseAdapter (Transformers' and their own): which have
 * another name here, which are left out, and which cannot be done.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ConfigError, type Problem } from '../base/errors';
import { formatSetting } from '../report/format';
import { parseInteger, parseNumber } from './options';
import { PUBLISHED_FLAGS, type PublishedFlag } from './published-flags';

const GROUP = 'Flags of the published scripts with another name here:';

/** Their flag, our flag of the same meaning, and how its value is read. */
const ALIASES = [
  ['task-name', 'task', String],
  ['model-name-or-path', 'backbone', String],
  ['mask-scope', 'scope', String],
  ['prune-epochs', 'rounds', parseInteger],
  ['num-train-epochs', 'epochs', parseNumber],
  ['max-source-length', 'max-seq-length', parseInteger],
  ['max-train-samples', 'rows', parseInteger],
  ['label-smoothing-factor', 'label-smoothing', parseNumber],
] as const;

/** Precisions by the names that Transformers' later versions have for them. */
const PRECISIONS: Record<string, string> = {
  bf16: 'use --precision bf16',
  tf32: 'use --precision tf32',
};

/** Accepts all of them, beside the flags that a command has already. */
export function addSeedFlags(command: Command): Command {
  for (const [theirs, ours, parse] of ALIASES) {
    command.addOption(
      new Option(`--${theirs} <value>`, `--${ours}`)
        .argParser<string | number>(parse)
        .helpGroup(GROUP),
    );
  }
  const known = new Set(command.options.map(({ long }) => long));
  const flags = [...PUBLISHED_FLAGS.map(({ flag }) => dashed(flag)), ...Object.keys(PRECISIONS)];
  for (const flag of flags)
    if (!known.has(`--${flag}`)) command.addOption(new Option(`--${flag} [value...]`).hideHelp());
  return command;
}

/** What the given flags of the published scripts come to. */
export interface SeedFlags<T> {
  /** The options, by our names. */
  options: T;
  /** Flags that are left out. */
  leftOut: string[];
  /** Flags that only the published scripts have: whoever gives them means what they mean there. */
  onlyTheirs: string[];
}

/** Theirs, and ours by the same name. */
const SHARED = new Set([
  ...ALIASES.map(([theirs]) => theirs),
  'prune-dataset-ratio',
  'reinitialize',
]);

/**
 * Replaces their names by ours.
 *
 * @throws ConfigError for each flag that cannot be done, with the reason, and for each setting
 *   given under both names
 */
export function resolveSeedFlags<T extends object>(options: T): SeedFlags<T> {
  const given = { ...options } as Record<string, unknown>;
  const value = (flag: string) => {
    const found = given[attribute(dashed(flag))];
    // commander sets a --no-… that is not given to true.
    return flag.startsWith('no_') && found === true ? undefined : found;
  };
  const problems: Problem[] = Object.entries(PRECISIONS)
    .filter(([flag]) => given[attribute(flag)] !== undefined)
    .map(([flag, instead]) => ({ where: `--${flag}`, message: instead }));
  const theirs = PUBLISHED_FLAGS.filter(
    ({ flag, treatment }) =>
      value(flag) !== undefined && treatment !== 'done' && !SHARED.has(dashed(flag)),
  );
  const refused = theirs.filter((row) => row.treatment === 'refused' && !isHarmless(row, value));
  problems.push(
    ...refused.map(({ flag, note }) => ({ where: `--${dashed(flag)}`, message: note })),
  );
  for (const [flag, ours] of ALIASES) {
    const found = given[attribute(flag)];
    if (found === undefined) continue;
    if (given[attribute(ours)] !== undefined) {
      problems.push({
        where: `--${flag}`,
        message: `is another name for --${ours}; give only one of them`,
      });
    }
    given[attribute(ours)] = found;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const markers = [...theirs.map(({ flag }) => flag), ...MARKERS].filter(
    (flag, i, all) => value(flag) !== undefined && all.indexOf(flag) === i,
  );
  return {
    options: given as T,
    leftOut: theirs.map(({ flag }) => `--${flag}`),
    onlyTheirs: markers.map((flag) => `--${flag}`),
  };
}

/** Flags that are done here, and that only the published scripts have. */
const MARKERS = [
  'unfreeze_params',
  'device_ids',
  'length',
  'dataset_name',
  'attn_composition',
  'lora_init',
];

/** A switch may be given without a value, which is true. */
function isHarmless(
  { flag, harmless = [] }: PublishedFlag,
  value: (flag: string) => unknown,
): boolean {
  const found = value(flag);
  const words = Array.isArray(found) ? found.map(String) : [String(found)];
  return found !== true && words.every((word) => harmless.includes(word));
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
  const percent = formatSetting(sparsity);
  return (
    `${sparsity} removes ${percent} here; in the published scripts it keeps ${percent}, ` +
    'as with --compat official'
  );
}

/** Commander's name for the option: `pruneEpochs` for `prune-epochs`. */
function attribute(flag: string): string {
  return new Option(`--${flag}`).attributeName();
}

/** Flags are read with dashes, however they are written. */
function dashed(flag: string): string {
  return flag.replaceAll('_', '-');
}

/** Their scripts' switches may be given alone or with a value. */
export function parseSwitch(text: string): boolean {
  if (/^(true|t|yes|y|1)$/i.test(text)) return true;
  if (/^(false|f|no|n|0)$/i.test(text)) return false;
  throw new InvalidArgumentError('must be true or false; without a value it is true');
}

export function parseScalar(text: string): number | 'learnable_scalar' {
  return text === 'learnable_scalar' ? text : parseNumber(text);
}
