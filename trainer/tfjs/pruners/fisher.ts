/** Σ gᵢ² over the scoring rows i (FISH: Sung et al. 2021). */
import { scoringRows, type Scorer } from './scorer';

export const fisher: Scorer = {
  plannedRows: scoringRows,
  score: (round) => round.squaredGradients(),
};
