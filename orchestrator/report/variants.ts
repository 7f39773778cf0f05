import { groupBy } from '../base/group-by';
import { adapterName, bottleneckLabel } from '../sweep/adapters';
import { readPrecision } from '../sweep/precision';
import { canonicalJson } from '../sweep/canonical';
import type { PruneConfig, Trial } from '../sweep/types';

/** Trials of a task that differ only in their seed: one row of the table. */
export interface Variant {
  trials: Trial[];
  /** What its trials share: everything but the seed. */
  config: Pick<Trial, 'adapter' | 'prune' | 'train' | 'precision'>;
  /**
   * `dense`, `snip`, or with what else distinguishes it in the task: `snip (lora)`, `snip (norm
   * none)`.
   */
  label: string;
  /** `64`, `64/16` for attention/feed-forward, or `–` without a module. */
  bottleneck: string;
}

const ADAPTER_DETAILS = [
  'norm',
  'activation',
  'scale',
  'init',
  'init_std',
  'lora_alpha',
  'prefix_hidden',
] as const;
const PRUNE_DETAILS = [
  'scoring_rows',
  'temperature',
  'rounds',
  'schedule',
  'begin_step',
  'every_steps',
] as const;

/** A task's trials as rows, in the order of the plan. */
export function groupVariants(trials: readonly Trial[]): Variant[] {
  const groups = groupBy(trials, nameConfigs());
  // Trials of a row differ only in their seed.
  const firsts = [...groups.values()].map((group) => group[0]!);
  const describeAdapter = adapterDetails(firsts);
  const describePrune = pruneDetails(firsts);
  const hasPrecisions = isVaried(firsts, readPrecision);
  return [...groups.values()].map((group) => {
    const { adapter, prune, train, precision } = group[0]!;
    const details = [
      ...describeAdapter(group[0]!),
      ...describePrune(group[0]!),
      ...(hasPrecisions ? [readPrecision(group[0]!)] : []),
    ];
    const name = prune.pruner === 'none' ? 'dense' : prune.pruner;
    return {
      trials: group,
      config: { adapter, prune, train, precision },
      label: details.length === 0 ? name : `${name} (${details.join(', ')})`,
      bottleneck: bottleneckLabel(adapter),
    };
  });
}

/**
 * Returns a function that gives trials of equal configurations equal names. Thousands of trials
 * have few configurations, so canonical text, which is much work, is made once for each.
 */
function nameConfigs(): (trial: Trial) => string {
  const names = new Map<string, string>();
  return ({ adapter, prune, train, precision }) => {
    const config = { adapter, prune, train, precision };
    const text = JSON.stringify(config);
    const name = names.get(text) ?? canonicalJson(config);
    names.set(text, name);
    return name;
  };
}

/**
 * The dense row that a row is compared with: one of the same precision, with the same adapter if
 * there is one, else the task's first. null for a dense row, or if there is none.
 */
export function findReference(variant: Variant, variants: readonly Variant[]): Variant | null {
  if (variant.config.prune.pruner === 'none') {
    return null;
  }
  const dense = filterDense(variants, variant.config);
  const adapter = canonicalJson(variant.config.adapter);
  return dense.find(({ config }) => canonicalJson(config.adapter) === adapter) ?? dense[0] ?? null;
}

/**
 * The dense row that has as many weights as a row keeps: preferably the one that it is compared
 * with, else the task's first. null for a dense row, or if there is none.
 */
export function findBudgetReference(
  variant: Variant,
  variants: readonly Variant[],
  kept: ReadonlyMap<Variant, number>,
): Variant | null {
  const reference = findReference(variant, variants);
  if (reference === null) {
    return null;
  }
  const dense = [reference, ...filterDense(variants, variant.config)];
  return dense.find((candidate) => kept.get(candidate) === kept.get(variant)) ?? null;
}

/**
 * The dense rows of the same precision: a difference must come from the masks, never from the
 * arithmetic.
 */
function filterDense(variants: readonly Variant[], { precision }: Variant['config']): Variant[] {
  return variants.filter(
    ({ config }) => config.prune.pruner === 'none' && config.precision === precision,
  );
}

/**
 * Describes adapters: the name if there are several, and what differs among adapters of that name.
 */
function adapterDetails(trials: readonly Trial[]): (trial: Trial) => string[] {
  const varied = findVaried(
    trials,
    ({ adapter }) => adapterName(adapter),
    ADAPTER_DETAILS,
    (trial, key) => trial.adapter[key],
  );
  return ({ adapter }) => {
    const name = adapterName(adapter);
    return [
      ...(varied.size > 1 ? [name] : []),
      ...varied.get(name)!.map((key) => `${words(key)} ${adapter[key]}`),
    ];
  };
}

/**
 * Describes masks: what is unusual about one, and what differs among trials with the same pruner
 * whose masks are made in the same way.
 */
function pruneDetails(trials: readonly Trial[]): (trial: Trial) => string[] {
  const way = ({ prune: { pruner, structure, every_steps } }: Trial) =>
    `${pruner} ${structure} ${every_steps > 0}`;
  const varied = findVaried(trials, way, PRUNE_DETAILS, (trial, key) => trial.prune[key]);
  const pruned = trials.filter((trial) => trial.prune.pruner !== 'none');
  const hasRules = isVaried(pruned, (trial) => trial.prune.rules);
  return (trial) => {
    const { prune } = trial;
    return [
      ...maskWords(prune),
      ...(prune.rules === 'official' && hasRules ? ['official'] : []),
      ...varied.get(way(trial))!.map((key) => `${words(key)} ${prune[key]}`),
      ...(prune.scoring_head === undefined ? [] : [`scoring head ${prune.scoring_head}`]),
      ...controlWords(prune),
    ];
  };
}

/** The keys whose values differ among the trials of each group. */
function findVaried<Key extends string>(
  trials: readonly Trial[],
  group: (trial: Trial) => string,
  keys: readonly Key[],
  value: (trial: Trial, key: Key) => unknown,
): Map<string, Key[]> {
  return new Map(
    [...groupBy(trials, group)].map(([name, same]) => [
      name,
      keys.filter((key) => isVaried(same, (trial) => value(trial, key))),
    ]),
  );
}

/** What is unusual in how a mask is made: its pieces, when, and over which scope. */
export function maskWords({
  rules,
  structure,
  group_kept,
  group_size,
  scope,
  every_steps,
  begin_step,
  repeats = 1,
}: PruneConfig): string[] {
  // By the published rules all rounds come before an epoch, at least the first.
  const isInitial = begin_step === 0 && repeats === 1 && rules === 'official';
  return [
    ...(structure === 'n_m' ? [`n_m ${group_kept}:${group_size}`] : []),
    ...(structure === 'units' ? ['units'] : []),
    ...(every_steps > 0 && !isInitial ? ['progressive'] : []),
    // N:M is always local.
    ...(scope === 'local' && structure !== 'n_m' ? ['local'] : []),
  ];
}

/** What is done to the finished mask, or to the weights under it. */
export function controlWords({ control, reinitialize }: PruneConfig): string[] {
  return [...(control === 'none' ? [] : [control]), ...(reinitialize ? ['reinitialized'] : [])];
}

const words = (key: string) => key.replaceAll('_', ' ');

function isVaried(trials: readonly Trial[], value: (trial: Trial) => unknown): boolean {
  return new Set(trials.map(value)).size > 1;
}
