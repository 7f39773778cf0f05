/**
 * What a file in this folder provides: a pruner's scores. Selection, ties and counts are in
 * ranking.ts.
 */
import type { Prune, Trial } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Shapes } from '../layout';
import type { Scores } from '../ranking';

/** A trial at one round of its pruning. */
export interface Round {
  trial: Trial;
  /** How many rounds came before, and whether the rules are OFFICIAL. */
  done: number;
  isOfficial: boolean;
  shapes: Shapes;
  /** The prunable matrices by name: with removed weights 0, and with their values beside a mask. */
  weights: Record<string, Float32Array>;
  unmasked: Record<string, Float32Array>;
  /** The trial's other tensors by name. */
  others: Record<string, Float32Array>;
  /** The backbone's number of layers, and d. */
  layers: number;
  hidden: number;
  /** Call it after a pass that is none over rows. */
  passed(this: void): Promise<void>;
  /** By down.weight: frozen matrices that the official rules score in its place. */
  frozen(this: void): Record<string, Float32Array>;
  /** Gradients of the other tensors, which scoring leaves (Prune.keeps_scoring_gradients). */
  leave(this: void, gradients: Record<string, Float32Array>): void;
  /** ∂L/∂w of each prunable matrix, L the mean loss over the scoring rows with dropout off. */
  gradient(this: void): Promise<Record<string, Float32Array>>;
  /** The sum over the scoring rows of the square of each row's own gradient. */
  squaredGradients(this: void): Promise<Record<string, Float32Array>>;
}

/** What the code published with SparseAdapter does with a pruner's scores (official-rules.ts). */
export interface Published {
  /**
   * The scores that count in a module whose matrices have the same shape: the code writes them
   * twice, for down's mask and for up's.
   */
  chooseWrittenLast(this: void, down: ScoresOfOne, up: ScoresOfOne): ScoresOfOne;
  /** As the code compares them. twice: the matrices that it finds two masks for. */
  normalize?(this: void, scores: Scores, twice: ReadonlySet<string>): Scores;
  /** Whether it can score a frozen matrix that the code takes for the one of a mask. */
  scoresFrozen?: boolean;
}

type ScoresOfOne = Scores[string];

export interface Scorer {
  /** For progress: how many rows of a split with `rows` a round takes through the model. */
  plannedRows(prune: Prune, rows: number): number;
  score(round: Round): Promise<Scores> | Scores;
  /** undefined if it is not in that code. */
  published?: Published;
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
