/** From the axes of training settings to what is compared and what a search chooses from. Pure. */
import { seededRandom } from '../base/seeded-random';
import { canonicalJson } from '../sweep/canonical';
import type { AxisValues } from '../sweep/types';
import { multiply } from './multiply';
import type { SweepSearch, TrainCandidate, TrainSettings, TrainVariant } from './sweep-config';
import { isRange, TRAIN_AXES, type Range, type TrainKeys, type TrainValues } from './train-schema';

type Value = number | string;
type Axis = readonly Value[] | Range;

/**
 * Every combination of the axes that are compared, each with its candidates: those of the axes that
 * are searched. Without a search, all axes are compared.
 *
 * @param complete fills in defaults
 */
export function expandTrain(
  keys: TrainKeys,
  search: SweepSearch | null,
  complete: (values: TrainValues) => TrainSettings,
): TrainVariant[] {
  const over = search?.over ?? [];
  const axes = TRAIN_AXES.flatMap((key): [string, Axis][] => {
    const axis = (keys as Record<string, Axis | undefined>)[key];
    return axis === undefined ? [] : [[key, axis]];
  });
  const compared = multiply(
    Object.fromEntries(
      axes
        .filter(([key]) => !over.includes(key))
        .map(([key, axis]) => [key, listValues(key, axis)]),
    ),
  );
  const searched = axes
    .filter(([key]) => over.includes(key))
    .sort(([a], [b]) => over.indexOf(a) - over.indexOf(b));
  const tried = chooseTried(searched, search?.random ?? null);
  const variants = compared.map((fixed): TrainVariant => {
    const candidates = tried.map((values): TrainCandidate => {
      const train = complete({ ...fixed, ...values });
      return { values: readValues(train, over), train };
    });
    return { candidates: dropEqual(candidates) };
  });
  return dropEqual(variants);
}

/** All combinations, or as many drawn ones: the nth of each axis together. */
function chooseTried(axes: readonly [string, Axis][], random: number | null): AxisValues[] {
  if (random === null)
    return multiply(Object.fromEntries(axes.map(([key, axis]) => [key, listValues(key, axis)])));
  const drawn = axes.map(([key, axis]) => [key, drawValues(key, axis, random)] as const);
  return Array.from({ length: random }, (_, i) =>
    Object.fromEntries(drawn.map(([key, values]) => [key, values[i]!])),
  );
}

function listValues(key: string, axis: Axis): readonly Value[] {
  if (!isRange(axis)) return axis;
  throw new RangeError(`${key} is a range, from which nothing is drawn: checkSearch refuses it`);
}

/**
 * Draws from a list evenly, and from a range evenly by logarithm. The draws depend on the key
 * alone, so that every variant is tried with the same values.
 */
function drawValues(key: string, axis: Axis, n: number): Value[] {
  const random = seededRandom(hashText(key));
  return Array.from({ length: n }, () => {
    const part = random();
    if (!isRange(axis)) return axis[Math.floor(part * axis.length)]!;
    const { from, to } = axis;
    const exact = from * (to / from) ** part;
    // Three digits read well and are as fine as anyone can tell learning rates apart.
    return Math.min(to, Math.max(from, Number(exact.toPrecision(3))));
  });
}

/** FNV-1a, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** The values of the searched axes, defaults included; a length that is not used has none. */
function readValues(train: TrainSettings, over: readonly string[]): AxisValues {
  const all = train as unknown as Record<string, Value | null | undefined>;
  return Object.fromEntries(
    over.flatMap((key) => (all[key] === null || all[key] === undefined ? [] : [[key, all[key]]])),
  );
}

/** What is equal once defaults are filled in; an axis of another task family changes nothing. */
function dropEqual<Item>(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [canonicalJson(item), item])).values()];
}
