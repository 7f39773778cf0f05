/** What a finished trial tells beside its metrics: the content of its diagnostics.json. */
import type { Confusion } from '../tasks/family';

export interface TrialDiagnostics {
  format: 3;
  trial_id: string;
  /** By split; empty without classes, or if the predictions are no longer there. */
  confusions: Confusion[];
  /** By name: the training loss, and metrics that were measured at several steps. */
  curves: Record<string, Curve>;
  /** null for a dense adapter, or if the mask's file is not there. */
  mask: MaskDiagnostics | null;
}

/** Of equal length. */
export interface Curve {
  steps: number[];
  values: number[];
}

export interface MaskDiagnostics {
  /** By name of the matrix, without `.weight`: weights kept, and of how many. */
  matrices: Record<string, [kept: number, of: number]>;
  /**
   * By module with down and up: of its bottleneck units those with any kept weight, those with a
   * kept weight in both matrices, through which something passes, and all.
   */
  units: Record<string, [alive: number, passing: number, of: number]>;
}
