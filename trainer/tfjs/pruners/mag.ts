/** |w|; by the official rules of all weights, even removed ones. */
import { mapped, noRows, type Scorer } from './scorer';

export const mag: Scorer = {
  plannedRows: noRows,
  published: { chooseWrittenLast: (down) => down, scoresFrozen: true },
  score: ({ weights, unmasked, isOfficial, frozen }) =>
    mapped(isOfficial ? { ...unmasked, ...frozen() } : weights, (values) => values.map(Math.abs)),
};
