/** Which dense row each row of a task's table is compared with. Pure. */
import { canonicalJson } from '../sweep/canonical';
import { findVaried } from './axes';
import type { Variant } from './variants';

/**
 * The dense row that a row is compared with: one of the same precision, with the same adapter if
 * there is one, else the task's first. Of several that differ in their training settings, the one
 * with the same settings, those that were searched aside. A dense row with another adapter than the
 * first is compared with that; null for the first, for its other settings, or if there is none.
 *
 * @param over the keys of a search
 */
export function findReference(
  variant: Variant,
  variants: readonly Variant[],
  over: readonly string[] = [],
): Variant | null {
  const dense = listDense(variant, variants, over);
  const adapter = canonicalJson(variant.config.adapter);
  const hasAdapter = ({ config }: Variant) => canonicalJson(config.adapter) === adapter;
  if (!isDense(variant)) return dense.find(hasAdapter) ?? dense[0] ?? null;
  const first = variants.find((each) => dense.includes(each))!;
  return [dense[0]!, first].find((each) => !hasAdapter(each)) ?? null;
}

/** Numbers of weights, by row. */
export interface RowWeights {
  kept: ReadonlyMap<Variant, number>;
  /** By how many weights the next wider adapter differs (`widthStep`). */
  step: (variant: Variant) => number;
}

/**
 * The dense row that has as many weights as a row keeps, to half of what the next width of the
 * dense adapter adds: no other width would be nearer. Of several the nearest; of these preferably
 * the one that the row is compared with. null for a dense row, or if there is none.
 */
export function findBudgetReference(
  variant: Variant,
  variants: readonly Variant[],
  { kept, step }: RowWeights,
  over: readonly string[] = [],
): Variant | null {
  if (isDense(variant)) return null;
  const reference = findReference(variant, variants, over);
  const dense = [...(reference ? [reference] : []), ...listDense(variant, variants, over)];
  const off = (candidate: Variant) => Math.abs(kept.get(candidate)! - kept.get(variant)!);
  const near = dense.filter((candidate) => off(candidate) <= step(candidate) / 2);
  return near.toSorted((a, b) => off(a) - off(b))[0] ?? null;
}

const isDense = ({ config }: Variant) => config.prune.pruner === 'none';

/**
 * The dense rows of a row's precision, because a difference must come from the masks, never from
 * the arithmetic; those with its own training settings come first.
 */
function listDense(
  { config, settings }: Variant,
  variants: readonly Variant[],
  over: readonly string[],
): Variant[] {
  const dense = variants.filter(
    (each) => isDense(each) && each.config.precision === config.precision,
  );
  const isLike = (other: Variant) =>
    findVaried([settings, other.settings]).every((key) => over.includes(key));
  return [...dense.filter(isLike), ...dense.filter((other) => !isLike(other))];
}
