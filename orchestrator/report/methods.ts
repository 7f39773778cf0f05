/** What a paper's methods section needs to say of a sweep, as data. Pure. */
import { nameEnvironment } from '../sweep/environments';
import { listTaskDatasets } from '../sweep/lookup';
import { readPrecision } from '../sweep/precision';
import { countTrainRows, stepsPerEpoch } from '../sweep/steps-per-epoch';
import type {
  Plan,
  PlannedDataset,
  PlannedEvaluation,
  Trial,
  TrainerEnvironment,
  TrialResult,
} from '../sweep/types';
import { findFamily } from '../tasks/registry';
import { nameEvery, rowTitle } from './format';
import { describeSearch, listSearch } from './methods-search';
import type { DataMethods, Methods, SplitMethods } from './methods-types';
import type { TaskSummary } from './summary-types';

export function describeMethods(
  plan: Plan,
  tasks: readonly TaskSummary[],
  results: readonly TrialResult[],
): Methods {
  const trials = new Map(plan.trials.map((trial) => [trial.id, trial]));
  const datasets = new Map(plan.datasets.map((dataset) => [dataset.digest, dataset]));
  const rows = tasks.flatMap((task) =>
    task.rows.map((row) => {
      const trial = trials.get(row.trial_ids[0]!)!;
      return {
        title: tasks.length > 1 ? `${task.task}, ${rowTitle(row)}` : rowTitle(row),
        settings: listSettings(trial, datasets.get(trial.dataset)!),
        seeds: row.trial_ids.map((id) => trials.get(id)!.seed),
      };
    }),
  );
  const shared: Methods['shared'] = {};
  const by_row: Methods['by_row'] = {};
  for (const key of new Set(rows.flatMap(({ settings }) => Object.keys(settings)))) {
    const values: Record<string, string[]> = {};
    for (const { title, settings } of rows) (values[settings[key] ?? 'none'] ??= []).push(title);
    const [only, ...others] = Object.keys(values);
    if (others.length === 0) shared[key] = only!;
    else by_row[key] = values;
  }
  const done = results.filter(({ status }) => status === 'done');
  const searches = describeSearch(plan, tasks);
  const { name, digest } = plan.backbone;
  return {
    shared,
    by_row,
    seeds: sortUnique(rows.flatMap(({ seeds }) => seeds)),
    ...(plan.evaluate === undefined ? {} : { evaluate: plan.evaluate }),
    ...(searches.length > 0 ? { searches } : {}),
    backbone: { name, digest },
    data: listTaskDatasets(plan.datasets).map(describeData),
    made_on: [...new Set(done.flatMap(listEnvironments))].sort(),
    sa_orch: [...new Set(done.map(({ provenance }) => provenance.sa_orch))].sort(),
  };
}

/**
 * Every setting of a trial that is not its identity, as text. What is absent where it changes
 * nothing is named where a reader would ask for it: the optimizer and the length in epochs. Of a
 * number of rows above that of the data set, it says the rows that were used, which are all.
 */
function listSettings(trial: Trial, dataset: PlannedDataset): Record<string, string> {
  const { adapter, generation = {} } = trial;
  const epochs = trial.train.total_steps / stepsPerEpoch(dataset, trial.train);
  const limit = (rows: number) => Math.min(rows, countTrainRows(dataset));
  const prune = { ...trial.prune, scoring_rows: limit(trial.prune.scoring_rows) };
  const train = {
    optimizer: 'adamw',
    ...trial.train,
    batch_size: limit(trial.train.batch_size),
    epochs: Number(epochs.toPrecision(4)),
  };
  return { ...flatten({ adapter, prune, train, generation }), precision: readPrecision(trial) };
}

function flatten(parts: Record<string, object>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parts).flatMap(([part, settings]) =>
      Object.entries(settings).map(([key, value]) => [`${part}.${key}`, showValue(value)]),
    ),
  );
}

const showValue = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

function describeData(dataset: PlannedDataset): DataMethods {
  const { task, digest, source, kind, metrics, label_names: names, max_length } = dataset;
  return {
    ...{ task, digest, source, kind, metrics, max_length },
    tokenizer: dataset.tokenizer,
    settings: listIdentity(dataset),
    splits: dataset.splits.map((split) => ({
      name: split.name,
      rows: split.rows,
      of: split.of,
      digest: split.digest,
      ...(split.class_rows === undefined
        ? {}
        : {
            classes: Object.fromEntries(split.class_rows.map((n, i) => [names[i] ?? String(i), n])),
          }),
    })),
  };
}

/** What its task family makes of it, without the metrics, which are told in their own place. */
function listIdentity(dataset: PlannedDataset): Record<string, string> {
  const parts = Object.entries(findFamily(dataset.kind).planning.identify(dataset));
  return Object.fromEntries(
    parts
      .flatMap(([part, settings]) => Object.entries(flatten({ [part]: settings ?? {} })))
      .filter(([key]) => !key.endsWith('.metrics')),
  );
}

function listEnvironments({ provenance }: TrialResult): string[] {
  const { pruned_by = [], trained_by = [], predicted_by = [] } = provenance;
  return [...pruned_by, ...trained_by, ...predicted_by].map(describeEnvironment);
}

function describeEnvironment(made: TrainerEnvironment): string {
  const { framework, framework_version: version, device_name: name, precision, details } = made;
  if (framework === '') return nameEnvironment(made);
  const more = Object.entries(details)
    .filter(([key]) => key !== framework && key !== 'device')
    .map(([key, value]) => `, ${key} ${value}`);
  return (
    `${framework} ${version} on ${made.device} (${name}), ` +
    `${precision ?? 'unknown precision'}${more.join('')}`
  );
}

const sortUnique = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

/** As lines of a report. Digests are whole, so that they can be compared. */
export function listMethods(methods: Methods): string[] {
  const { shared, by_row, seeds, evaluate, searches = [], backbone, data } = methods;
  return [
    `settings of all rows: ${Object.entries(shared)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')}`,
    ...Object.entries(by_row).map(([key, values]) => {
      const each = Object.entries(values).map(([value, rows]) => `${value} (${rows.join('; ')})`);
      return `${key} by row: ${each.join(', ')}`;
    }),
    `seeds of the comparison ${seeds.join(', ')}`,
    ...(evaluate ? [describeEvaluation(evaluate)] : []),
    ...searches.flatMap(listSearch),
    `backbone ${backbone.name}, SHA-256 ${backbone.digest}`,
    ...data.map(listData),
    ...methods.made_on.map((made) => `made with ${made}`),
    ...(methods.sa_orch.length > 0 ? [`evaluated by sa-orch ${methods.sa_orch.join(', ')}`] : []),
  ];
}

export const describeEvaluation = ({ every, report }: PlannedEvaluation): string =>
  `evaluated on the validation rows after ${nameEvery(every)} of training; metrics are of the ` +
  (report === 'best' ? 'best evaluation' : 'last');

function listData({ task, digest, splits, ...about }: DataMethods): string {
  const { source, kind, metrics, max_length: length, tokenizer, settings } = about;
  const own = Object.entries(settings).map(([key, value]) => `, ${key} ${value}`);
  return [
    `data ${task} (${kind}, from ${source}), digest ${digest}`,
    ...splits.map(describeSplit),
    `best by ${metrics[0]!}${metrics.length > 1 ? `, beside ${metrics.slice(1).join(', ')}` : ''}`,
    `at most ${length} tokens a row, tokenizer SHA-256 ${tokenizer}${own.join('')}`,
  ].join('; ');
}

/** `train 400 of 3,668 rows (no 133, yes 267), SHA-256 …`. */
export function describeSplit({ name, rows, of, digest, classes }: SplitMethods): string {
  const counts = Object.entries(classes ?? {}).map(([label, n]) => `${label} ${n}`);
  const ofClasses = counts.length > 0 ? ` (${counts.join(', ')})` : '';
  const amount = rows === of ? `${rows} rows` : `${rows} of ${of} rows`;
  return `${name} ${amount}${ofClasses}, SHA-256 ${digest}`;
}
