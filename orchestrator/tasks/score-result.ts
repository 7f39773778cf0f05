import type { Evaluation } from './rows/metrics';

/** What `sa-orch score` prints. */
export interface Score extends Evaluation {
  rows: number;
}
