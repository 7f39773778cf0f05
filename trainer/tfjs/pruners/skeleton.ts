/** −g · w (Skeletonization: Mozer & Smolensky 1989). */
import { mapped, scoringRows, type Scorer } from './scorer';

export const skeleton: Scorer = {
  plannedRows: scoringRows,
  async score({ weights, gradient }) {
    const gradients = await gradient();
    return mapped(weights, (values, name) =>
      values.map((value, i) => -gradients[name]![i]! * value),
    );
  },
};
