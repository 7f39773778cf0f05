import { canonicalJson } from '../sweep/canonical';
import type { AdapterConfig, Trial } from '../sweep/types';

/** Trials of a task that differ in their seed only: one row of the table. */
export interface Variant {
  trials: Trial[];
  /** Of every trial: all but its seed. */
  config: Pick<Trial, 'adapter' | 'prune' | 'train'>;
  /** `dense`, `snip`; with what else tells it from the task's other rows: `snip (norm none)`. */
  label: string;
  /** `64`, or `64/16` for attention/feed-forward. */
  bottleneck: string;
}

const ADAPTER_DETAILS = ['kind', 'norm', 'activation', 'scale', 'init', 'init_std'] as const;

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
    const details = [
      ...ADAPTER_DETAILS.filter((key) => isVaried(trials, (trial) => trial.adapter[key])).map((key) => `${key} ${adapter[key]}`),
      ...(prune.scope === 'local' ? ['local'] : []),
      ...(prune.scoring_rows > 0 && isVaried(trials.filter(isSnip), (trial) => trial.prune.scoring_rows)
        ? [`${prune.scoring_rows} scoring rows`]
        : []),
    ];
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

function bottleneckLabel({ attention_bottleneck: attention, ffn_bottleneck: ffn }: AdapterConfig): string {
  return attention === 0 || attention === ffn ? String(ffn) : `${attention}/${ffn}`;
}

const isSnip = (trial: Trial) => trial.prune.pruner === 'snip';

function isVaried(trials: readonly Trial[], value: (trial: Trial) => unknown): boolean {
  return new Set(trials.map(value)).size > 1;
}
