/** Settings laid over others: a profile over its file, flags over both, a task's over the sweep's. */
import { mergeAdapter } from './adapter';
import type { SweepSettings } from './schema';
import type { TrainKeys } from './task-schema';

/**
 * `over` laid on `base`: maps (adapter, train, generation) key by key, everything else as a whole.
 */
export function mergeSettings(base: SweepSettings, over: SweepSettings): SweepSettings {
  return {
    ...base,
    ...over,
    adapter:
      base.adapter && over.adapter
        ? mergeAdapter(base.adapter, over.adapter)
        : (over.adapter ?? base.adapter),
    train:
      base.train && over.train ? mergeTrain(base.train, over.train) : (over.train ?? base.train),
    generation:
      base.generation && over.generation
        ? { ...base.generation, ...over.generation }
        : (over.generation ?? base.generation),
  };
}

/** A later length in epochs replaces one in steps, and the other way round. */
export function mergeTrain(base: TrainKeys, over: TrainKeys): TrainKeys {
  const kept = { ...base };
  if (over.steps !== undefined || over.epochs !== undefined) {
    delete kept.steps;
    delete kept.epochs;
  }
  return { ...kept, ...over };
}
