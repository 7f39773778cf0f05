import type { AdapterConfig } from '../sweep/types';
import type { TaskFamily } from '../tasks/family';
import { FAMILIES, findFamily, type FamilySettings } from '../tasks/registry';
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

/** Fills in defaults, and leaves out keys that are no part of a trial or of other task families. */
function completeTrain(keys: TrainKeys, { settings }: TaskFamily, compat: Compat): TrainSettings {
  const { epochs, steps, accumulated_batches, loss_parts, ...rest } = keys;
  const official = compat === 'official';
  const standard = {
    ...defaults.DEFAULT_TRAIN,
    ...settings.trainDefaults,
    ...(official ? publishedTrainDefaults(keys, settings.trainDefaults) : {}),
  };
  const written = Object.entries(rest).filter(([key]) => Object.hasOwn(standard, key));
  const length =
    steps !== undefined
      ? { epochs: null, steps }
      : { epochs: epochs ?? defaults.DEFAULT_TRAIN.epochs, steps: null };
  return {
    ...standard,
    ...Object.fromEntries(written),
    ...length,
    ...(accumulated_batches === undefined ? {} : { accumulated_batches }),
    ...(loss_parts === undefined ? {} : { loss_parts }),
  };
}

/** Labels of any task may be smoothed there, and are not unless that is asked for. */
function publishedTrainDefaults(keys: TrainKeys, ofFamily: object): Partial<TrainSettings> {
  const smooths = 'label_smoothing' in ofFamily || 'label_smoothing' in keys;
  return { ...defaults.PUBLISHED_TRAIN, ...(smooths ? { label_smoothing: 0 } : {}) };
}

/** Every adapter of a line: the product of its lists, the last key varying fastest. */
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
    // The published code computes 1.0 − value in float64 and removes that part. A trainer gets
    // density = 1 − (1 − value) and removes 1 − density of the weights. That is the same double,
    // because neither of these later subtractions rounds (Sterbenz's lemma).
    sparsity: official ? sparsity.map((kept) => 1 - kept) : sparsity,
    n_m: line.n_m ?? [],
    structure: line.structure ?? ['weights'],
    large_sparse: line.large_sparse !== undefined,
    scope: line.scope ?? [defaults.DEFAULT_SCOPE],
    scoring_rows: line.scoring_rows ?? (official ? null : [defaults.DEFAULT_SCORING_ROWS]),
    scoring_head: line.scoring?.head ?? ['published'],
    temperature: line.temperature ?? [
      official ? defaults.OFFICIAL_TEMPERATURE : defaults.DEFAULT_TEMPERATURE,
    ],
    rounds: line.rounds ?? null,
    schedule: line.schedule ?? [defaults.DEFAULT_PRUNE_SCHEDULE],
    progressive: line.progressive ? { ...defaults.DEFAULT_PROGRESSIVE, ...line.progressive } : null,
    repeats: line.repeats ?? 1,
    control: line.control ?? [defaults.DEFAULT_CONTROL],
    reinitialize: line.reinitialize ?? [false],
    adapters: lineAdapters(base, line, compat),
  };
}

/** Fills in the defaults of settings that have passed the schema. */
export function completeConfig(
  name: string,
  file: string | null,
  settings: Omit<SweepSettings, 'tasks'> & { tasks: FoundTask[] },
  profile: string | null,
  profiles: SweepDocument['profiles'],
  nameOrigin: (line: number) => string,
): SweepConfig {
  const train = settings.train ?? {};
  const adapter = settings.adapter ?? {};
  const ofFamilies = Object.assign(
    {},
    ...FAMILIES.map((family) => family.settings.complete(settings)),
  ) as FamilySettings;
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
    tasks: settings.tasks.map((task) => {
      const family = findFamily(task.kind);
      const written = mergeTrain(train, task.train);
      return {
        ...task,
        train: completeTrain(written, family, settings.compat ?? 'none'),
        max_minutes: written.max_minutes ?? null,
        ...family.settings.chooseForTrials(ofFamilies),
      };
    }),
    compare: (settings.compare ?? [{ pruner: ['none'] }]).map((line, i) =>
      completeLine(adapter, line, nameOrigin(i), settings.compat ?? 'none'),
    ),
    seeds: settings.seeds ?? [...defaults.DEFAULT_SEEDS],
    rows: limit(settings.rows),
    validation_rows: limit(settings.validation_rows),
    max_length: settings.max_length ?? null,
    unfreeze_params: settings.unfreeze_params ?? null,
    ...ofFamilies,
  };
}

function limit(rows: number | 'all' | undefined): number | null {
  return rows === undefined || rows === 'all' ? null : rows;
}
