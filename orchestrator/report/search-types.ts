/** What a report says of a search. */
import type { AxisValues, StopEarly } from '../sweep/types';
import type { Mean, PairedDifference } from './statistics';

export interface SearchSummary {
  /** The keys of the searched axes. */
  over: string[];
  /** The metric that decides, on the held-out rows. */
  metric: string;
  /** How many training rows were held out, and of how many. */
  held_out: { rows: number; of: number };
  /** The search's own seeds. */
  seeds: number[];
  trials: { planned: number; done: number; failed: number; cancelled: number; stopped: number };
  /** Absent: every candidate is trained to its end. */
  stop_early?: StopEarly & {
    /** Lengths of its trials, in steps. */
    steps: number[];
    /** Rows that its trials have been trained on, epoch after epoch, and would be to their end. */
    trained: { rows: number; of: number };
  };
  /** Whether every choice is made. */
  decided: boolean;
  choices: ChoiceSummary[];
}

export interface ChoiceSummary {
  /** The row that it is for: `snip 40 %, bottleneck 64`. */
  row: string;
  pruner: string;
  candidates: CandidateSummary[];
  /** Index of the candidate that was chosen; null: none, because all failed. */
  chosen?: number | null;
  /** Index of the best of the others, and the chosen one's lead over it, paired by seed. */
  second?: number;
  lead?: PairedDifference;
  /** Keys of axes whose smallest or largest value was chosen. */
  at_edge?: string[];
}

export interface CandidateSummary {
  values: AxisValues;
  /** null without a trial that is done or was stopped. */
  metric: Mean | null;
  /** The fraction of its training after which it was stopped, where the metric was measured. */
  stopped_at?: number;
  /** How many seeds it is tried with. */
  seeds: number;
  failed: { trial_id: string; seed: number; error: string }[];
}
