/** What a paper's methods section needs to say of a sweep, as data. Pure. */
import { nameEnvironment } from '../sweep/environments';
import { listTaskDatasets } from '../sweep/lookup';
import { readPrecision } from '../sweep/precision';
import type { Plan, PlannedDataset, Trial, TrainerEnvironment, TrialResult } from '../sweep/types';
import { rowTitle } from './format';
import type { Methods, TaskSummary } from './summary-types';

export function describeMethods(
  plan: Plan,
  tasks: readonly TaskSummary[],
  results: readonly TrialResult[],
): Methods {
  const trials = new Map(plan.trials.map((trial) => [trial.id, trial]));
  const rows = tasks.flatMap((task) =>
    task.rows.map((row) => ({
      title: tasks.length > 1 ? `${task.task}, ${rowTitle(row)}` : rowTitle(row),
      settings: flatten(trials.get(row.trial_ids[0]!)!),
      seeds: row.trial_ids.map((id) => trials.get(id)!.seed),
    })),
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
  const searched = sortUnique(tasks.flatMap(({ search }) => search?.seeds ?? []));
  const { name, digest } = plan.backbone;
  return {
    shared,
    by_row,
    seeds: sortUnique(rows.flatMap(({ seeds }) => seeds)),
    ...(searched.length > 0 ? { search_seeds: searched } : {}),
    backbone: { name, digest },
    data: listTaskDatasets(plan.datasets).map(describeData),
    made_on: [...new Set(done.flatMap(listEnvironments))].sort(),
    sa_orch: [...new Set(done.map(({ provenance }) => provenance.sa_orch))].sort(),
  };
}

/** Every setting of a trial that is not its identity, as text. */
function flatten(trial: Trial): Record<string, string> {
  const { adapter, prune, train, generation = {} } = trial;
  const parts = Object.entries({ adapter, prune, train, generation });
  return Object.fromEntries([
    ...parts.flatMap(([part, settings]) =>
      Object.entries(settings).map(([key, value]) => [`${part}.${key}`, showValue(value)]),
    ),
    ['precision', readPrecision(trial)],
  ]) as Record<string, string>;
}

const showValue = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

function describeData({ task, digest, splits, label_names: names }: PlannedDataset) {
  return {
    task,
    digest,
    splits: splits.map(({ name, rows, digest: ofFile, class_rows: counts }) => ({
      name,
      rows,
      digest: ofFile,
      ...(counts === undefined
        ? {}
        : { classes: Object.fromEntries(counts.map((n, i) => [names[i] ?? String(i), n])) }),
    })),
  };
}

function listEnvironments({ provenance }: TrialResult): string[] {
  const { pruned_by = [], trained_by = [], predicted_by = [] } = provenance;
  return [...pruned_by, ...trained_by, ...predicted_by].map(describeEnvironment);
}

function describeEnvironment(made: TrainerEnvironment): string {
  const { framework, framework_version: version, device_name: name, precision } = made;
  if (framework === '') return nameEnvironment(made);
  return `${framework} ${version} on ${made.device} (${name}), ${precision ?? 'unknown precision'}`;
}

const sortUnique = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

/** As lines of a report. Digests are whole, so that they can be compared. */
export function listMethods(methods: Methods): string[] {
  const { shared, by_row, seeds, search_seeds: searched, backbone, data } = methods;
  return [
    `settings of all rows: ${Object.entries(shared)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')}`,
    ...Object.entries(by_row).map(([key, values]) => {
      const each = Object.entries(values).map(([value, rows]) => `${value} (${rows.join('; ')})`);
      return `${key} by row: ${each.join(', ')}`;
    }),
    `seeds ${seeds.join(', ')}${searched ? `; of the search ${searched.join(', ')}` : ''}`,
    `backbone ${backbone.name}, SHA-256 ${backbone.digest}`,
    ...data.map(describeSplits),
    ...methods.made_on.map((made) => `made with ${made}`),
    ...(methods.sa_orch.length > 0 ? [`evaluated by sa-orch ${methods.sa_orch.join(', ')}`] : []),
  ];
}

function describeSplits({ task, digest, splits }: Methods['data'][number]): string {
  const parts = splits.map(({ name, rows, digest: ofFile, classes }) => {
    const counts = Object.entries(classes ?? {}).map(([label, n]) => `${label} ${n}`);
    const ofClasses = counts.length > 0 ? ` (${counts.join(', ')})` : '';
    return `${name} ${rows} rows${ofClasses}, SHA-256 ${ofFile}`;
  });
  return `data ${task}, digest ${digest}: ${parts.join('; ')}`;
}
