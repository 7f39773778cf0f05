import { adapterName, bottleneckLabel } from '../config/adapter-kinds';
import { canonicalJson } from '../sweep/canonical';
import type { Trial } from '../sweep/types';

/** Trials of a task that differ in their seed only: one row of the table. */
export interface Variant {
  trials: Trial[];
  /** Of every trial: all but its seed. */
  config: Pick<Trial, 'adapter' | 'prune' | 'train'>;
  /** `dense`, `snip`; with what else tells it from the task's other rows: `snip (lora)`, `snip (norm none)`. */
  label: string;
  /** `64`, or `64/16` for attention/feed-forward; `–` without a module. */
  bottleneck: string;
}

const ADAPTER_DETAILS = ['norm', 'activation', 'scale', 'init', 'init_std', 'lora_alpha', 'prefix_hidden'] as const;
const PRUNE_DETAILS = ['scoring_rows', 'temperature', 'rounds', 'schedule'] as const;

/** A task's trials as rows, in the order of the plan. */
export function variantsOf(trials: readonly Trial[]): Variant[] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    const { adapter, prune, train } = trial;
    const key = canonicalJson({ adapter, prune, train });
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()].map((group) => {
    const { adapter, prune, train } = group[0]!;
    const details = [...adapterDetails(group[0]!, trials), ...pruneDetails(group[0]!, trials)];
    const name = prune.pruner === 'none' ? 'dense' : prune.pruner;
    return {
      trials: group,
      config: { adapter, prune, train },
      label: details.length === 0 ? name : `${name} (${details.join(', ')})`,
      bottleneck: bottleneckLabel(adapter),
    };
  });
}

/**
 * The dense row that a row is compared with: of the same adapter where there is one, else the task's first. null for a dense row, and
 * where the sweep has no dense one.
 */
export function referenceOf(variant: Variant, variants: readonly Variant[]): Variant | null {
  if (variant.config.prune.pruner === 'none') {
    return null;
  }
  const dense = variants.filter(({ config }) => config.prune.pruner === 'none');
  const adapter = canonicalJson(variant.config.adapter);
  return dense.find(({ config }) => canonicalJson(config.adapter) === adapter) ?? dense[0] ?? null;
}

/**
 * The dense row whose weights are as many as those that a row keeps: the one it is compared with where that is so, else the task's first
 * such row. null for a dense row, and where there is none.
 */
export function budgetReferenceOf(variant: Variant, variants: readonly Variant[], kept: ReadonlyMap<Variant, number>): Variant | null {
  const reference = referenceOf(variant, variants);
  if (reference === null) {
    return null;
  }
  const dense = [reference, ...variants.filter(({ config }) => config.prune.pruner === 'none')];
  return dense.find((candidate) => kept.get(candidate) === kept.get(variant)) ?? null;
}

/** The adapter's name where the task has several, and what differs between the adapters of that name. */
function adapterDetails({ adapter }: Trial, trials: readonly Trial[]): string[] {
  const name = adapterName(adapter);
  const same = trials.filter((trial) => adapterName(trial.adapter) === name);
  return [
    ...(same.length < trials.length ? [name] : []),
    ...ADAPTER_DETAILS.filter((key) => isVaried(same, (trial) => trial.adapter[key])).map((key) => `${words(key)} ${adapter[key]}`),
  ];
}

/** What is not as usual about the mask, and what differs between trials of the same pruner. */
function pruneDetails({ prune }: Trial, trials: readonly Trial[]): string[] {
  const same = trials.filter((trial) => trial.prune.pruner === prune.pruner);
  return [
    ...(prune.scope === 'local' ? ['local'] : []),
    ...PRUNE_DETAILS.filter((key) => isVaried(same, (trial) => trial.prune[key])).map((key) => `${words(key)} ${prune[key]}`),
    ...(prune.control === 'none' ? [] : [prune.control]),
    ...(prune.reinitialize ? ['reinitialized'] : []),
  ];
}

const words = (key: string) => key.replaceAll('_', ' ');

function isVaried(trials: readonly Trial[], value: (trial: Trial) => unknown): boolean {
  return new Set(trials.map(value)).size > 1;
}
