import { PRUNERS } from '../../common/vocabulary/pruners';
import { adapterName } from '../sweep/adapters';
import type { StopEarly } from '../sweep/types';
import type { TaskFamily } from '../tasks/family';
import { FAMILIES, findFamily, type FamilySettings } from '../tasks/registry';
import { chooseModules, completeAdapter, mergeAdapter } from './adapter';
import type { AdapterAxes, AdapterKeys } from './adapter-schema';
import type { CompareKeys } from './compare-schema';
import type { Compat } from './compat';
import * as defaults from './defaults';
import { expandTrain } from './expand-train';
import { mergeTrain } from './merge-settings';
import { multiply } from './multiply';
import type { FoundTask } from './find-tasks';
import type { SweepDocument, SweepSettings } from './schema';
import type { SearchKeys } from './search-schema';
import type { CompareLine, SweepConfig, SweepSearch, TrainSettings } from './sweep-config';
import type { TrainValues } from './train-schema';

/** Fills in defaults, and leaves out keys of other task families. */
function completeTrain(keys: TrainValues, { settings }: TaskFamily, compat: Compat): TrainSettings {
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
function publishedTrainDefaults(keys: TrainValues, ofFamily: object): Partial<TrainSettings> {
  const smooths = 'label_smoothing' in ofFamily || 'label_smoothing' in keys;
  return { ...defaults.PUBLISHED_TRAIN, ...(smooths ? { label_smoothing: 0 } : {}) };
}

/** Every adapter of a line: the product of the sweep's lists, and then that of its own. */
function listAdapterKeys(base: AdapterAxes, line: CompareKeys): AdapterKeys[] {
  const bottleneck = line.large_sparse?.bottleneck ?? line.bottleneck;
  const own: AdapterAxes = { ...line.adapter, ...(bottleneck ? { bottleneck } : {}) };
  const merged = mergeAdapter(base, own);
  const ofSweep = Object.entries(merged).filter(([key]) => !(key in own));
  const lists = Object.fromEntries([...ofSweep, ...Object.entries(own)]);
  return multiply<unknown>(lists);
}

/**
 * The adapters, by name, that some line prunes by scores that a zero up-projection would make
 * useless. They start with another one in every line, so that a difference to the dense adapter
 * comes from the masks alone.
 */
function findScored(base: AdapterAxes, compare: readonly CompareKeys[]): Set<string> {
  const scoring = compare.filter(
    ({ pruner, progressive }) =>
      pruner.some((each) => PRUNERS[each].zeroUp !== null) && !isTrainedBefore(progressive),
  );
  return new Set(
    scoring.flatMap((line) =>
      listAdapterKeys(base, line).map((keys) => adapterName(chooseModules(keys))),
    ),
  );
}

/** Whether up is no longer 0 when the first scores are taken. */
function isTrainedBefore(progressive: CompareKeys['progressive']): boolean {
  if (!progressive) return false;
  return { ...defaults.DEFAULT_PROGRESSIVE, ...progressive }.begin_epoch > 0;
}

function completeLine(
  base: AdapterAxes,
  line: CompareKeys,
  origin: string,
  compat: Compat,
  scored: ReadonlySet<string>,
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
    same_budget_as: line.same_budget_as ?? [],
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
    adapters: listAdapterKeys(base, line).map((keys) => {
      const asInPaper = !official && !scored.has(adapterName(chooseModules(keys)));
      return completeAdapter(keys, compat, asInPaper);
    }),
  };
}

/** Fills in the defaults of a search; null if there is none. */
export function completeSearch(written: SearchKeys | null | undefined): SweepSearch | null {
  if (!written) return null;
  const { over = [], on, seeds, try: attempts = 'grid', stop_early } = written;
  return {
    over,
    hold_out: on?.hold_out ?? defaults.DEFAULT_HOLD_OUT,
    seeds: seeds ?? [...defaults.DEFAULT_SEARCH_SEEDS],
    random: attempts === 'grid' ? null : attempts.random,
    stop_early: stop_early ? completeStopEarly(stop_early) : null,
  };
}

const completeStopEarly = ({
  asynchronous,
  ...stopEarly
}: NonNullable<SearchKeys['stop_early']>): StopEarly => ({
  ...stopEarly,
  ...(asynchronous && { asynchronous }),
});

/** Fills in the defaults of settings that have passed the schema. */
export function completeConfig(
  name: string,
  file: string | null,
  settings: Omit<SweepSettings, 'tasks' | 'search'> & {
    tasks: FoundTask[];
    search: SweepSearch | null;
  },
  profile: string | null,
  profiles: SweepDocument['profiles'],
  nameOrigin: (line: number) => string,
): SweepConfig {
  const train = settings.train ?? {};
  const { adapter = {}, compat = 'none', search } = settings;
  const compare = settings.compare ?? defaults.DEFAULT_COMPARE;
  const scored = findScored(adapter, compare);
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
        ...{ name: task.name, kind: task.kind, own: task.own },
        lines: compare.map((line) =>
          expandTrain(mergeTrain(written, line.train ?? {}), search, (values) =>
            completeTrain(values, family, compat),
          ),
        ),
        max_minutes: written.max_minutes ?? null,
        ...family.settings.chooseForTrials(ofFamilies),
      };
    }),
    compare: compare.map((line, i) => completeLine(adapter, line, nameOrigin(i), compat, scored)),
    seeds: settings.seeds ?? [...defaults.DEFAULT_SEEDS],
    search,
    rows: limit(settings.rows),
    validation_rows: limit(settings.validation_rows),
    max_length: settings.max_length ?? null,
    margin: settings.margin ?? null,
    evaluate: settings.evaluate ? { every: 'epoch', report: 'last', ...settings.evaluate } : null,
    unfreeze_params: settings.unfreeze_params ?? null,
    ...ofFamilies,
  };
}

function limit(rows: number | 'all' | undefined): number | null {
  return rows === undefined || rows === 'all' ? null : rows;
}
