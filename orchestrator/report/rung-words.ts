/** How the rungs of a search are named. Pure. */
import { findRungStep } from '../sweep/rungs';
import { formatSetting } from './format';

/** A rung may be off by this part of itself, since steps are whole, without a word on it. */
const UNNAMED = 0.02;

/**
 * `25 %` of each rung, or `25 % (step 2 of 6)` where that is clearly another part of the training.
 *
 * @param lengths of the search's trials, in steps
 */
export function nameRungs(rungs: readonly number[], lengths: readonly number[]): string[] {
  return rungs.map((rung) => {
    const others = [...new Set(lengths)].flatMap((total_steps) => {
      const step = findRungStep({ train: { total_steps } }, rung);
      const isOther = Math.abs(step / total_steps - rung) > UNNAMED * rung;
      return isOther ? [`step ${step} of ${total_steps}`] : [];
    });
    return `${formatSetting(rung)}${others.length > 0 ? ` (${others.join(', ')})` : ''}`;
  });
}
