/** What a paper's methods section needs to say of a sweep. */
import type { AxisValues, PlannedDataset, PlannedEvaluation, StopEarly } from '../sweep/types';

/** How the numbers of a sweep were made. */
export interface Methods {
  /** Settings of trials that all rows share, by `train.learning_rate`. */
  shared: Record<string, string>;
  /** Those that differ: by setting and value, the rows that have it. */
  by_row: Record<string, Record<string, string[]>>;
  /** Of the comparison. */
  seeds: number[];
  /** Of the comparison's trials, before their end; absent for none. */
  evaluate?: PlannedEvaluation;
  /** One for each task of which something was searched; absent without a search. */
  searches?: SearchMethods[];
  backbone: { name: string; digest: string };
  data: DataMethods[];
  /** `torch 2.15.0 on cpu (Some CPU), float32`, of finished trials. */
  made_on: string[];
  /** This project's versions that evaluated them. */
  sa_orch: string[];
}

export interface DataMethods extends Pick<
  PlannedDataset,
  'task' | 'digest' | 'source' | 'kind' | 'metrics' | 'max_length' | 'tokenizer'
> {
  /** What else decides its content, by `questions.doc_stride`. */
  settings: Record<string, string>;
  splits: SplitMethods[];
}

export interface SplitMethods {
  name: string;
  rows: number;
  /** Rows that the source has. */
  of: number;
  digest: string;
  /** Rows by class; absent if there are none, or from before they were counted. */
  classes?: Record<string, number>;
}

/** How the values of a task's searched axes were chosen. */
export interface SearchMethods {
  task: string;
  /** The metric that decides, on the held-out rows. */
  metric: string;
  held_out: { fraction: number; rows: number; of: number; digest: string };
  /** Rows of the two parts by class; absent if there are none. */
  classes?: Record<string, Record<string, number>>;
  seeds: number[];
  /** Lengths of its trials, which train on fewer rows than those of the comparison. */
  steps: number[];
  /** Absent: every candidate is trained to its end. */
  stop_early?: StopEarly;
  /** What was tried, with the rows that it was tried for. */
  tried: { candidates: AxisValues[]; rows: string[] }[];
}
