import type { Evaluation } from './glue';

/** What `sa-orch score` prints. */
export interface Score extends Evaluation {
  rows: number;
}
