/**
 * How many weights are kept: in total, after each round, and per matrix by Erdős–Rényi densities.
 */
import { elements } from '../../common/safetensors';
import { PRUNE_SCHEDULES } from '../../common/vocabulary/prune-schedules';
import { getRow } from '../../common/vocabulary/vocabulary';
import type { Prune, PruneSchedule } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { type Shapes } from './layout';

/** How many of n weights are kept: floor(density · n + 0.5), in float64. */
export const keptCount = (n: number, density: number): number => Math.floor(density * n + 0.5);

/** The density after each of `rounds`, by the schedule; the last is exactly 1 − sparsity. */
export const densities = ({ sparsity, rounds, schedule }: Prune): number[] =>
  densitiesTo(1 - sparsity, rounds, schedule);

/** The density after each of `rounds` from 1 to `final`. */
export function densitiesTo(final: number, rounds: number, schedule: PruneSchedule): number[] {
  if (rounds === 1) return [final];
  const { densityAfter } = getRow(PRUNE_SCHEDULES, schedule);
  return [
    ...Array.from({ length: rounds - 1 }, (_, i) => densityAfter(i + 1, rounds, final)),
    final,
  ];
}

/**
 * How many weights to keep of each matrix, `kept` in total, by Erdős–Rényi densities (Mocanu et al.
 * 2018): [a, b] has density min(1, ε · (a + b) / (a · b)). Counts are rounded down, and what is
 * left goes to the largest remainders, among equal ones to the first.
 */
export function erCounts(shapes: Shapes, kept: number): Record<string, number> {
  const counts: Record<string, number> = {};
  const sumSizes = (name: string): number => shapes[name]!.reduce((sum, size) => sum + size, 0);
  let open = Object.keys(shapes);
  let left = kept;
  // In whole numbers, so that rounding never changes a total: ε = left / total, and a matrix's
  // count is ε · (a + b).
  let total: number;
  for (;;) {
    total = open.reduce((sum, name) => sum + sumSizes(name), 0);
    // What a full matrix cannot take goes to the others, so ε rises and may fill more of them.
    const full = open.filter((name) => left * sumSizes(name) >= total * elements(shapes[name]!));
    if (full.length === 0) break;
    for (const name of full) counts[name] = elements(shapes[name]!);
    open = open.filter((name) => !full.includes(name));
    left = kept - Object.values(counts).reduce((sum, count) => sum + count, 0);
  }
  for (const name of open) counts[name] = Math.floor((left * sumSizes(name)) / total);
  const remainder = (name: string): number => (left * sumSizes(name)) % total;
  const missing = left - open.reduce((sum, name) => sum + counts[name]!, 0);
  for (const name of open.toSorted((a, b) => remainder(b) - remainder(a)).slice(0, missing))
    counts[name]!++;
  return counts;
}
