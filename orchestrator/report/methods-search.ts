/** What a methods section says of the search that chose the values of a task's rows. Pure. */
import { groupBy } from '../base/group-by';
import type { Plan, StopEarly } from '../sweep/types';
import { formatSetting } from './format';
import type { SearchMethods } from './methods-types';
import { nameRungs } from './rung-words';
import type { SearchSummary } from './search-types';
import type { TaskSummary } from './summary-types';

export function describeSearch(plan: Plan, tasks: readonly TaskSummary[]): SearchMethods[] {
  return tasks.flatMap(({ task, search }) =>
    search === undefined ? [] : [describeTask(plan, task, search)],
  );
}

function describeTask({ datasets, trials }: Plan, task: string, search: SearchSummary) {
  const { metric, held_out: counts, seeds, choices, stop_early: stopEarly } = search;
  const dataset = datasets.find((each) => each.task === task && each.held_out !== undefined)!;
  const { digest, held_out, splits, label_names: names } = dataset;
  const own = trials.filter((trial) => trial.dataset === digest);
  const classes = Object.fromEntries(
    splits.flatMap(({ name, class_rows: rows }) =>
      rows === undefined
        ? []
        : [[name === 'train' ? 'trained on' : 'held out', byName(names, rows)]],
    ),
  );
  const alike = groupBy(choices, ({ candidates }) =>
    JSON.stringify(candidates.map(({ values }) => values)),
  );
  return {
    task,
    metric,
    held_out: { fraction: held_out!.fraction, ...counts, digest },
    ...(Object.keys(classes).length > 0 ? { classes } : {}),
    seeds,
    steps: [...new Set(own.map(({ train }) => train.total_steps))].sort((a, b) => a - b),
    ...(stopEarly && { stop_early: { rungs: stopEarly.rungs, keep: stopEarly.keep } }),
    tried: [...alike.values()].map((same) => ({
      candidates: same[0]!.candidates.map(({ values }) => values),
      rows: same.map(({ row }) => row),
    })),
  };
}

const byName = (names: readonly string[], rows: readonly number[]): Record<string, number> =>
  Object.fromEntries(rows.map((n, i) => [names[i] ?? String(i), n]));

/** As lines of a report. */
export function listSearch({ task, metric, held_out: held, ...search }: SearchMethods): string[] {
  const { classes = {}, seeds, steps, tried, stop_early: stopEarly } = search;
  const counts = Object.entries(classes).map(
    ([part, rows]) =>
      `; ${part} by class: ${Object.entries(rows)
        .map(([name, n]) => `${name} ${n}`)
        .join(', ')}`,
  );
  return [
    `search on ${task}, before the comparison and without its validation rows: ${held.rows} of ` +
      `${held.of} train rows held out (${formatSetting(held.fraction)}, drawn once for all its ` +
      `trials, digest ${held.digest}), the others trained on for ${steps.join(' or ')} steps; ` +
      `seeds ${seeds.join(', ')}${counts.join('')}`,
    ...tried.map(({ candidates, rows }) => {
      const values = candidates.map((each) =>
        Object.entries(each)
          .map(([key, value]) => `${key} ${value}`)
          .join(' with '),
      );
      return `search on ${task}, tried for ${rows.join('; ')}: ${values.join(', ')}`;
    }),
    `search on ${task} decides by the highest mean ${metric} on the held-out rows over its ` +
      'seeds, of equal ones by the first; values with a trial that failed are passed over',
    ...(stopEarly === undefined
      ? []
      : [`search on ${task} stops early: ${listRungs(stopEarly, steps)}`]),
  ];
}

function listRungs({ rungs, keep }: StopEarly, steps: readonly number[]): string {
  return (
    `after ${nameRungs(rungs, steps).join(' and ')} of their training, ` +
    `${formatSetting(keep)} of the values that are left (rounded up, and all that equal the last ` +
    'of them) go on, those with the highest mean there; the values that are left then are ' +
    'trained to their end, but a single one is chosen at once (successive halving, Jamieson and ' +
    'Talwalkar 2016)'
  );
}
