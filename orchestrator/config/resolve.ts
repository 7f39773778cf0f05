import type { AdapterConfig } from '../sweep/types';
import * as defaults from './defaults';
import type { SweepDocument, SweepSettings } from './schema';
import type { CompareLine, SweepConfig, TrainSettings } from './sweep-config';

type AdapterKeys = NonNullable<SweepSettings['adapter']>;
type CompareKeys = NonNullable<SweepSettings['compare']>[number];
type TrainKeys = NonNullable<SweepSettings['train']>;

/** `over` laid on `base`: maps (adapter, train) key by key, everything else as a whole. */
export function mergeSettings(base: SweepSettings, over: SweepSettings): SweepSettings {
  return {
    ...base,
    ...over,
    adapter: base.adapter && over.adapter ? mergeAdapter(base.adapter, over.adapter) : (over.adapter ?? base.adapter),
    train: base.train && over.train ? mergeTrain(base.train, over.train) : (over.train ?? base.train),
  };
}

/** A later `bottleneck` speaks for both modules: it replaces an earlier width of one of them. */
function mergeAdapter(base: AdapterKeys, over: AdapterKeys): AdapterKeys {
  const kept = { ...base };
  if (over.bottleneck !== undefined) {
    delete kept.attention_bottleneck;
    delete kept.ffn_bottleneck;
  }
  return { ...kept, ...over };
}

/** A later length in epochs replaces one in steps, and the other way round. */
function mergeTrain(base: TrainKeys, over: TrainKeys): TrainKeys {
  const kept = { ...base };
  if (over.steps !== undefined || over.epochs !== undefined) {
    delete kept.steps;
    delete kept.epochs;
  }
  return { ...kept, ...over };
}

function completeAdapter(keys: AdapterKeys): AdapterConfig {
  const { bottleneck, ...rest } = keys;
  const adapter: AdapterConfig = { ...defaults.DEFAULT_ADAPTER };
  if (bottleneck !== undefined) {
    adapter.attention_bottleneck = bottleneck;
    adapter.ffn_bottleneck = bottleneck;
  }
  Object.assign(adapter, rest);
  // Pfeiffer has no module beside attention: one adapter, one identity, whatever width was written there.
  return adapter.kind === 'pfeiffer' ? { ...adapter, attention_bottleneck: 0 } : adapter;
}

function completeTrain(keys: TrainKeys): TrainSettings {
  const { epochs, steps, ...rest } = keys;
  const length = steps !== undefined ? { epochs: null, steps } : { epochs: epochs ?? defaults.DEFAULT_TRAIN.epochs, steps: null };
  return { ...defaults.DEFAULT_TRAIN, ...rest, ...length };
}

/** Every adapter that a line stands for: the product of its lists, the last key varying fastest. */
function lineAdapters(base: AdapterKeys, line: CompareKeys): AdapterConfig[] {
  const lists = { ...line.adapter, ...(line.bottleneck ? { bottleneck: line.bottleneck } : {}) };
  let overrides: AdapterKeys[] = [{}];
  for (const [key, values] of Object.entries(lists)) {
    overrides = overrides.flatMap((chosen) => values.map((value) => ({ ...chosen, [key]: value })));
  }
  return overrides.map((over) => completeAdapter(mergeAdapter(base, over)));
}

function completeLine(base: AdapterKeys, line: CompareKeys): CompareLine {
  return {
    pruner: line.pruner,
    sparsity: line.sparsity ?? [],
    scope: line.scope ?? [defaults.DEFAULT_SCOPE],
    scoring_rows: line.scoring_rows ?? [defaults.DEFAULT_SCORING_ROWS],
    adapters: lineAdapters(base, line),
  };
}

/** Fills in the defaults. The settings have passed the schema. */
export function completeConfig(
  name: string,
  file: string | null,
  settings: SweepSettings & { tasks: NonNullable<SweepSettings['tasks']> },
  profile: string | null,
  profiles: SweepDocument['profiles'],
): SweepConfig {
  const train = settings.train ?? {};
  const adapter = settings.adapter ?? {};
  return {
    name,
    file,
    profile,
    profiles: Object.entries(profiles ?? {}).map(([key, value]) => ({ name: key, description: value.description ?? '' })),
    backbone: settings.backbone ?? defaults.DEFAULT_BACKBONE,
    tasks: settings.tasks.map((task) => ({ name: task.name, train: completeTrain(mergeTrain(train, task.train ?? {})) })),
    compare: (settings.compare ?? [{ pruner: ['none'] }]).map((line) => completeLine(adapter, line)),
    seeds: settings.seeds ?? [...defaults.DEFAULT_SEEDS],
    rows: limit(settings.rows),
    validation_rows: limit(settings.validation_rows),
    max_length: settings.max_length ?? defaults.DEFAULT_MAX_LENGTH,
  };
}

function limit(rows: number | 'all' | undefined): number | null {
  return rows === undefined || rows === 'all' ? null : rows;
}
