/** |g|, regardless of the weight (SHiRA-Grad: Bhardwaj et al. 2024). */
import { mapped, scoringRows, type Scorer } from './scorer';

export const gradient: Scorer = {
  plannedRows: scoringRows,
  score: async (round) => mapped(await round.gradient(), (values) => values.map(Math.abs)),
};
