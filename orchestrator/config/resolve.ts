import { publishedKind } from '../datasets/published';
import type { AdapterConfig, TaskKind } from '../sweep/types';
import { completeAdapter, mergeAdapter } from './adapter';
import type { AdapterKeys } from './adapter-schema';
import type { CompareKeys } from './compare-schema';
import type { Compat } from './compat';
import * as defaults from './defaults';
import { mergeTrain } from './merge-settings';
import type { FoundTask } from './find-tasks';
import type { SweepDocument, SweepSettings } from './schema';
import type { CompareLine, SweepConfig, TrainSettings } from './sweep-config';
import type { TrainKeys } from './task-schema';

function completeTrain(keys: TrainKeys, kind: TaskKind): TrainSettings {
  const { epochs, steps, label_smoothing = defaults.DEFAULT_LABEL_SMOOTHING, ...rest } = keys;
  const length =
    steps !== undefined
      ? { epochs: null, steps }
      : { epochs: epochs ?? defaults.DEFAULT_TRAIN.epochs, steps: null };
  return {
    ...defaults.DEFAULT_TRAIN,
    ...rest,
    ...length,
    ...(kind === 'summarization' ? { label_smoothing } : {}),
  };
}

/** Every adapter that a line stands for: the product of its lists, the last key varying fastest. */
function lineAdapters(base: AdapterKeys, line: CompareKeys, compat: Compat): AdapterConfig[] {
  const bottleneck = line.large_sparse?.bottleneck ?? line.bottleneck;
  const lists = { ...line.adapter, ...(bottleneck ? { bottleneck } : {}) };
  let overrides: AdapterKeys[] = [{}];
  for (const [key, values] of Object.entries(lists)) {
    overrides = overrides.flatMap((chosen) => values.map((value) => ({ ...chosen, [key]: value })));
  }
  return overrides.map((over) => completeAdapter(mergeAdapter(base, over), compat));
}

function completeLine(
  base: AdapterKeys,
  line: CompareKeys,
  origin: string,
  compat: Compat,
): CompareLine {
  const official = compat === 'official';
  const sparsity = line.sparsity ?? [];
  return {
    origin,
    pruner: line.pruner,
    rules: official ? 'official' : 'exact',
    // The published code computes 1.0 − value in float64 and cuts that part. A trainer gets density
    // as 1 − (1 − value) and cuts 1 − density of the weights: the same double, since of the two
    // subtractions that follow the first neither rounds (Sterbenz's lemma).
    sparsity: official ? sparsity.map((kept) => 1 - kept) : sparsity,
    n_m: line.n_m ?? [],
    structure: line.structure ?? ['weights'],
    large_sparse: line.large_sparse !== undefined,
    scope: line.scope ?? [defaults.DEFAULT_SCOPE],
    scoring_rows: line.scoring_rows ?? (official ? null : [defaults.DEFAULT_SCORING_ROWS]),
    temperature: line.temperature ?? [
      official ? defaults.OFFICIAL_TEMPERATURE : defaults.DEFAULT_TEMPERATURE,
    ],
    rounds: line.rounds ?? null,
    schedule: line.schedule ?? [defaults.DEFAULT_PRUNE_SCHEDULE],
    progressive: line.progressive ? { ...defaults.DEFAULT_PROGRESSIVE, ...line.progressive } : null,
    control: line.control ?? [defaults.DEFAULT_CONTROL],
    reinitialize: line.reinitialize ?? [false],
    adapters: lineAdapters(base, line, compat),
  };
}

/** What is learned from a task's rows. */
export function kindOf({ name, own }: Pick<FoundTask, 'name' | 'own'>): TaskKind {
  return own === null ? publishedKind(name) : own.kind;
}

/** Fills in the defaults. The settings have passed the schema. */
export function completeConfig(
  name: string,
  file: string | null,
  settings: Omit<SweepSettings, 'tasks'> & { tasks: FoundTask[] },
  profile: string | null,
  profiles: SweepDocument['profiles'],
  originOf: (line: number) => string,
): SweepConfig {
  const train = settings.train ?? {};
  const adapter = settings.adapter ?? {};
  return {
    name,
    file,
    profile,
    profiles: Object.entries(profiles ?? {}).map(([key, value]) => ({
      name: key,
      description: value.description ?? '',
    })),
    backbone: settings.backbone ?? defaults.DEFAULT_BACKBONE,
    precision: settings.precision ?? null,
    tasks: settings.tasks.map((task) => ({
      ...task,
      train: completeTrain(mergeTrain(train, task.train), kindOf(task)),
    })),
    compare: (settings.compare ?? [{ pruner: ['none'] }]).map((line, i) =>
      completeLine(adapter, line, originOf(i), settings.compat ?? 'none'),
    ),
    seeds: settings.seeds ?? [...defaults.DEFAULT_SEEDS],
    rows: limit(settings.rows),
    validation_rows: limit(settings.validation_rows),
    max_length: settings.max_length ?? null,
    doc_stride: settings.doc_stride ?? defaults.DEFAULT_DOC_STRIDE,
    max_target_length: settings.max_target_length ?? defaults.DEFAULT_MAX_TARGET_LENGTH,
    generation: { ...defaults.DEFAULT_GENERATION, ...settings.generation },
  };
}

function limit(rows: number | 'all' | undefined): number | null {
  return rows === undefined || rows === 'all' ? null : rows;
}
