/**
 * What a file in this folder provides: a pruner's scores. Selection, ties and counts are in
 * ranking.ts.
 */
import type { Prune, Trial } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Pace } from '../../host/pace';
import type { Shapes } from '../layout';
import type { Scores } from '../ranking';

/** A trial at one round of its pruning. */
export interface Round {
  trial: Trial;
  shapes: Shapes;
  /** The prunable matrices by name, with removed weights 0. */
  weights: Record<string, Float32Array>;
  /** The backbone's number of layers, and d. */
  layers: number;
  hidden: number;
  pace: Pace;
  /** ∂L/∂w of each prunable matrix, L the mean loss over the scoring rows with dropout off. */
  gradient(this: void): Promise<Record<string, Float32Array>>;
  /** The sum over the scoring rows of the square of each row's own gradient. */
  squaredGradients(this: void): Promise<Record<string, Float32Array>>;
}

export interface Scorer {
  /** For progress: how many rows of a split with `rows` a round takes through the model. */
  plannedRows(prune: Prune, rows: number): number;
  score(round: Round): Promise<Scores> | Scores;
}

export const noRows = (): number => 0;

/** The requested scoring rows, but no more than the split has. */
export const scoringRows = ({ scoringRows: asked }: Prune, rows: number): number =>
  Math.min(asked, rows);

export function mapped<A, B>(
  values: Record<string, A>,
  to: (value: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, to(value, name)]));
}
