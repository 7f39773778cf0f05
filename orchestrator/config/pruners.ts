/** What each pruner uses. Pure. */
import type { MaskRules, Pruner } from '../sweep/types';

export const PRUNER_NAMES = [
  'none',
  'rand',
  'mag',
  'snip',
  'er',
  'grasp',
  'synflow',
] as const satisfies readonly Pruner[];

/** Which pruners use a key; for the others it has one value and stands for nothing. */
export const USED_BY = {
  scoring_rows: ['snip', 'grasp'],
  temperature: ['grasp'],
  rounds: ['snip', 'grasp', 'synflow'],
} as const satisfies Record<string, readonly Pruner[]>;

export function uses(pruner: Pruner, key: keyof typeof USED_BY): boolean {
  return (USED_BY[key] as readonly Pruner[]).includes(pruner);
}

/**
 * Rounds where a sweep file names none: 100 for synflow (Tanaka 2020), which removes whole layers
 * in fewer; one pass for the others, and for all in the published code (`prune_epochs`).
 */
export function defaultRounds(pruner: Pruner, rules: MaskRules): number {
  return pruner === 'synflow' && rules === 'exact' ? 100 : 1;
}
