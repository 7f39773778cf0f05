import { groupBy } from '../base/group-by';
import { adapterName, bottleneckLabel } from '../sweep/adapters';
import { countTrainRows } from '../sweep/steps-per-epoch';
import { readPrecision } from '../sweep/precision';
import { canonicalJson } from '../sweep/canonical';
import type { AxisValues, PlannedDataset, PruneConfig, Trial } from '../sweep/types';
import { findVaried as findVariedKeys, nameValues, pickValues, settingsReader } from './axes';

/** Trials of a task that differ only in their seed: one row of the table. */
export interface Variant {
  trials: Trial[];
  /** What its trials share: everything but the seed. */
  config: Pick<Trial, 'adapter' | 'prune' | 'train' | 'precision'>;
  /**
   * `dense`, `snip`, or with what else distinguishes it in the task: `snip (lora)`, `snip (norm
   * none)`. Training settings are not in it.
   */
  name: string;
  /** The name with the training settings that tell it from its like: `snip (lora, lr 0.001)`. */
  label: string;
  /** `64`, `64/16` for attention/feed-forward, or `–` without a module. */
  bottleneck: string;
  /** Its training settings, by their keys in a sweep file. */
  settings: AxisValues;
}

const ADAPTER_DETAILS = [
  'norm',
  'activation',
  'scale',
  'init',
  'init_std',
  'lora_alpha',
  'prefix_hidden',
  'prefix_use',
  'learned_scale',
] as const;
const PRUNE_DETAILS = [
  'scoring_rows',
  'temperature',
  'rounds',
  'schedule',
  'begin_step',
  'every_steps',
] as const;

/**
 * A task's trials as rows, in the order of the plan.
 *
 * @param over the keys of a search
 */
export function groupVariants(
  trials: readonly Trial[],
  dataset: PlannedDataset,
  over: readonly string[] = [],
): Variant[] {
  const groups = groupBy(trials, nameConfigs());
  // Trials of a row differ only in their seed.
  const firsts = [...groups.values()].map((group) => group[0]!);
  const describeAdapter = adapterDetails(firsts);
  const describePrune = pruneDetails(firsts, countTrainRows(dataset));
  const hasPrecisions = isVaried(firsts, readPrecision);
  const readSettings = settingsReader(firsts, dataset, over);
  const variants = [...groups.values()].map((group) => {
    const { adapter, prune, train, precision } = group[0]!;
    const details = [
      ...describeAdapter(group[0]!),
      ...describePrune(group[0]!),
      ...(hasPrecisions ? [readPrecision(group[0]!)] : []),
    ];
    const pruner = prune.pruner === 'none' ? 'dense' : prune.pruner;
    return {
      trials: group,
      config: { adapter, prune, train, precision },
      name: addDetails(pruner, details),
      details: { pruner, words: details },
      bottleneck: bottleneckLabel(adapter),
      settings: readSettings(group[0]!),
    };
  });
  const told = settingsThatTell(variants);
  return variants.map(({ details: { pruner, words }, ...variant }) => {
    const values = nameValues(pickValues(variant.settings, told.get(variant.name)!));
    const label = addDetails(pruner, [...words, ...(values === '' ? [] : [values])]);
    return { ...variant, label };
  });
}

const addDetails = (name: string, details: readonly string[]) =>
  details.length === 0 ? name : `${name} (${details.join(', ')})`;

/**
 * By name of rows, the training settings in which some of that name differ that are otherwise the
 * same. One value for each row, as after a search, tells no rows apart.
 */
function settingsThatTell(
  variants: readonly (Pick<Variant, 'config' | 'settings'> & { name: string })[],
): Map<string, string[]> {
  return new Map(
    [...groupBy(variants, ({ name }) => name)].map(([name, same]) => {
      const alike = groupBy(same, ({ config: { adapter, prune, precision } }) =>
        canonicalJson({ adapter, prune, precision }),
      );
      const keys = [...alike.values()].flatMap((rows) =>
        findVariedKeys(rows.map(({ settings }) => settings)),
      );
      return [name, [...new Set(keys)]];
    }),
  );
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
 *
 * @param rows to train on
 */
function pruneDetails(trials: readonly Trial[], rows: number): (trial: Trial) => string[] {
  const way = ({ prune: { pruner, structure, every_steps } }: Trial) =>
    `${pruner} ${structure} ${every_steps > 0}`;
  const varied = findVaried(trials, way, PRUNE_DETAILS, (trial, key) => trial.prune[key]);
  const pruned = trials.filter((trial) => trial.prune.pruner !== 'none');
  const hasRules = isVaried(pruned, (trial) => trial.prune.rules);
  const nameDetail = (prune: PruneConfig, key: (typeof PRUNE_DETAILS)[number]) =>
    `${words(key)} ${prune[key]}` +
    (key === 'scoring_rows' && prune[key] > rows ? `: all ${rows}` : '');
  return (trial) => {
    const { prune } = trial;
    return [
      ...maskWords(prune),
      ...(prune.rules === 'official' && hasRules ? ['official'] : []),
      ...varied.get(way(trial))!.map((key) => nameDetail(prune, key)),
      ...(prune.scoring_head === undefined ? [] : [`scoring head ${nameScoringHead(prune)}`]),
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

/** `published`, `prior` or `warmed up 50`. */
export function nameScoringHead({ scoring_head, scoring_head_steps }: PruneConfig): string {
  return scoring_head === 'warm_up'
    ? `warmed up ${scoring_head_steps}`
    : (scoring_head ?? 'published');
}

/** What is done to the finished mask, or to the weights under it. */
export function controlWords({ control, reinitialize }: PruneConfig): string[] {
  return [...(control === 'none' ? [] : [control]), ...(reinitialize ? ['reinitialized'] : [])];
}

const words = (key: string) => key.replaceAll('_', ' ');

function isVaried(trials: readonly Trial[], value: (trial: Trial) => unknown): boolean {
  return new Set(trials.map(value)).size > 1;
}
