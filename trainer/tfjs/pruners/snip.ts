/** |g · w| divided by its sum over all matrices (Lee et al. 2019). */
import { mapped, scoringRows, type Scorer } from './scorer';

export const snip: Scorer = {
  plannedRows: scoringRows,
  async score({ weights, gradient }) {
    const gradients = await gradient();
    const raw = mapped(weights, (values, name) =>
      Float32Array.from(values, (value, i) => Math.abs(gradients[name]![i]! * value)),
    );
    const total = Object.values(raw).reduce(
      (sum, scores) => scores.reduce((part, score) => part + score, sum),
      0,
    );
    // All zero: left unchanged, for the ranking to refuse.
    return total === 0 ? raw : mapped(raw, (values) => values.map((value) => value / total));
  },
};
