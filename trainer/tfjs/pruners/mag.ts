/** |w|. */
import { mapped, noRows, type Scorer } from './scorer';

export const mag: Scorer = {
  plannedRows: noRows,
  score: ({ weights }) => mapped(weights, (values) => values.map(Math.abs)),
};
