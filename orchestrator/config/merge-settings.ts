/** Merges settings: a profile over its file, flags over both, a task's over the sweep's. */
import { FAMILIES } from '../tasks/registry';
import { mergeAdapter } from './adapter';
import { DEFAULT_COMPARE, DEFAULT_SEEDS } from './defaults';
import type { SweepSettings } from './schema';
import { isMap } from './schema-parts';
import type { TrainKeys } from './train-schema';

/**
 * Merges `over` over `base`: maps (adapter, train, search, evaluate and those of the task families)
 * key by key, everything else as a whole.
 */
export function mergeSettings(base: SweepSettings, over: SweepSettings): SweepSettings {
  return {
    ...base,
    ...over,
    ...mergeFamilySettings(base, over),
    adapter:
      base.adapter && over.adapter
        ? mergeAdapter(base.adapter, over.adapter)
        : (over.adapter ?? base.adapter),
    train:
      base.train && over.train ? mergeTrain(base.train, over.train) : (over.train ?? base.train),
    search: mergeOptional(base.search, over.search),
    evaluate: mergeOptional(base.evaluate, over.evaluate),
  };
}

/** Merges maps of which null says that there is none. */
function mergeOptional<Keys extends object>(
  base: Keys | null | undefined,
  over: Keys | null | undefined,
): Keys | null | undefined {
  if (base && over) return { ...base, ...over };
  return over === undefined ? base : over;
}

/** Settings with further lines of `compare` and further seeds behind those that they have. */
export function addSettings(
  base: SweepSettings,
  { compare = [], seeds = [] }: Pick<SweepSettings, 'compare' | 'seeds'>,
): SweepSettings {
  return {
    ...base,
    compare: [...(base.compare ?? DEFAULT_COMPARE), ...compare],
    seeds: [...new Set([...(base.seeds ?? DEFAULT_SEEDS), ...seeds])],
  };
}

/** Settings whose search trains every candidate to its end. */
export function liftRungs({ search, ...rest }: SweepSettings): SweepSettings {
  if (!search) return { ...rest, search };
  const whole = { ...search };
  delete whole.stop_early;
  return { ...rest, search: whole };
}

function mergeFamilySettings(
  base: Record<string, unknown>,
  over: Record<string, unknown>,
): Record<string, unknown> {
  const keys = FAMILIES.flatMap(({ settings }) => Object.keys(settings.keys));
  return Object.fromEntries(
    keys.map((key) => {
      const [below, above] = [base[key], over[key]];
      return [key, isMap(below) && isMap(above) ? { ...below, ...above } : (above ?? below)];
    }),
  );
}

/** A later length in epochs replaces one in steps, and vice versa. */
export function mergeTrain(base: TrainKeys, over: TrainKeys): TrainKeys {
  const kept = { ...base };
  if (over.steps !== undefined || over.epochs !== undefined) {
    delete kept.steps;
    delete kept.epochs;
  }
  return { ...kept, ...over };
}

/** Whether the settings have a value at a path. */
export function isWritten(settings: unknown, path: readonly PropertyKey[]): boolean {
  return (
    path.reduce(
      (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
      settings,
    ) !== undefined
  );
}
