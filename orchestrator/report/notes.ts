/** The lines under a task's table. */
import { groupBy } from '../base/group-by';
import { plural } from '../base/plural';
import { formatValue } from './axes';
import {
  DEGENERATE_MARK,
  equalWithin,
  formatCount,
  formatDifference,
  formatP,
  nameEvery,
  formatPoints,
  metricTitle,
  rowTitle,
} from './format';
import type { Note } from './report-document';
import { DEGENERATE_WARNINGS, type RowSummary, type TaskSummary } from './summary-types';

/** The note of a sweep with `compat: official`. */
export const OFFICIAL_RULES =
  "masks by the published code's rules (compat: official): equal scores are cut together, so the " +
  'number kept may differ from the request; sparsity is the fraction removed, as everywhere here';

/**
 * What a reader of a task's table must know: degenerate and missing trials, comparisons at the
 * dense budget, single seeds.
 */
export function tableNotes(task: TaskSummary): Note[] {
  const { rows, metrics, majority_class: majority } = task;
  const notes = [
    ...dataNotes(task),
    ...degenerateNotes(rows),
    ...makerNotes(rows),
    ...budgetNotes(task),
  ];
  const say = (text: string) => notes.push({ text, items: [] });
  if (majority !== null) {
    const values = metrics
      .filter((name) => majority[name] !== undefined)
      .map((name) => `${metricTitle(name)} ${formatPoints(majority[name]!)}`);
    say(`always the most frequent class: ${values.join(', ')}`);
  }
  if (task.evaluate?.report === 'best') say(describeBest(task.evaluate, metrics[0]!));
  notes.push(...thresholdNotes(rows));
  const short = rows.filter(({ done, seeds }) => done < seeds);
  if (short.length > 0) {
    const missing = short.map((row) => `${rowTitle(row)}: ${row.done} of ${row.seeds}`);
    say(`seeds are missing from the means: ${missing.join('; ')}`);
  }
  if (rows.some(({ done }) => done === 1)) {
    say(
      'one seed (n = 1) has no standard deviation and no interval, so differences may be ' +
        'noise',
    );
  }
  const open = task.search?.choices.filter(({ chosen }) => chosen === undefined).length ?? 0;
  if (open > 0) say(`${plural(open, 'row')} to come, whose values the search chooses`);
  notes.push(...testNotes(task), ...referenceNotes(rows), ...lackingNotes(task));
  notes.push(...loraNotes(rows));
  if (rows.some(({ rules }) => rules === 'official')) {
    say(OFFICIAL_RULES);
  }
  const isAlone = rows.every(({ pruner, reference }) => pruner !== 'none' && reference === null);
  if (open === 0 && isAlone) {
    say('the sweep has no dense adapter (pruner none), so there are no differences');
  }
  return notes;
}

/** What the metrics of a task are of that reports the best of its evaluations. */
function describeBest(
  { every, lacking }: NonNullable<TaskSummary['evaluate']>,
  deciding: string,
): string {
  if (lacking > 0)
    return (
      `${plural(lacking, 'trial')} trained without evaluations on the way, and trials that are ` +
      'done are not trained again: so that all are treated alike, metrics are those of the last ' +
      'step, not the best'
    );
  return (
    `each trial by the best of its evaluations, one after ${nameEvery(every)} of training, by ` +
    `${metricTitle(deciding)} on the same validation rows: that is above what other rows would ` +
    'show, and more so the more evaluations there are; its adapter is that of the last'
  );
}

/** α of the tests, as of the 95 % intervals. */
const ALPHA = 0.05;

/** What the tests of all rows together say, and when rows count as equal. */
function testNotes(task: TaskSummary): Note[] {
  const { rows, margin } = task;
  const notes: Note[] = rows.some(({ reference }) => reference !== null) ? nameTests(task) : [];
  if (margin !== undefined) {
    const text =
      `${equalWithin(margin)}: the 95 % interval lies inside [−${margin}, ${margin}], whether or ` +
      'not it includes 0 (two one-sided tests, each at 2.5 %, not corrected)';
    notes.push({ text, items: [] });
  }
  return notes;
}

/** The family of Holm's correction is said: the differences of one metric in one task's table. */
function nameTests({ task, rows, metrics }: TaskSummary): Note[] {
  const deciding = metrics[0]!;
  const tested = rows.flatMap((row) => {
    const { p = null, p_holm } = row.difference[deciding] ?? {};
    return p === null ? [] : [{ title: rowTitle(row), p: p_holm ?? p }];
  });
  if (tested.length === 0) return [];
  const told = tested.filter(({ p }) => p < ALPHA);
  const found =
    told.length === 0
      ? 'no difference'
      : told.map(({ title, p }) => `${title} (${formatP(p)})`).join('; ');
  const tests =
    tested.length === 1
      ? `the paired t-test of the only difference in ${metricTitle(deciding)} within ${task}`
      : `paired t-tests corrected by Holm within ${task} (${tested.length} differences in ` +
        `${metricTitle(deciding)})`;
  const text =
    `more than noise explains, by ${tests}: ${found}; the intervals, and so what is within ` +
    'noise, are not corrected';
  return [{ text, items: [] }];
}

/** Which dense rows differences are relative to, if the task has several dense ones. */
function referenceNotes(rows: readonly RowSummary[]): Note[] {
  if (rows.filter(({ pruner }) => pruner === 'none').length < 2) return [];
  const compared = rows.flatMap((row) =>
    row.reference === null ? [] : [{ row: rowTitle(row), to: row.reference }],
  );
  const references = [...groupBy(compared, ({ to }) => to)];
  if (references.length === 0) return [];
  if (references.length === 1)
    return [{ text: `differences and weights are relative to ${references[0]![0]}`, items: [] }];
  const items = references.map(
    ([to, rows]) => `to ${to}: ${rows.map(({ row }) => row).join('; ')}`,
  );
  return [{ text: 'differences and weights are relative to several dense adapters:', items }];
}

/**
 * Dense rows without a result: the rows that should be compared with one have no difference, and
 * are compared with no other one in its place.
 */
function lackingNotes({ rows, search }: TaskSummary): Note[] {
  const compared = rows.flatMap((row) => (row.reference === null ? [] : [row.reference]));
  return [...new Set(compared)].flatMap((title) => {
    const dense = rows.find((row) => row.pruner === 'none' && rowTitle(row) === title);
    if (dense !== undefined && (dense.done > 0 || dense.failed < dense.seeds)) return [];
    const choice = search?.choices.find(({ row }) => row === title);
    if (dense === undefined && choice?.chosen === undefined) return [];
    const why = dense === undefined ? 'every value that was searched for it' : 'every trial of it';
    const own = rows.filter(({ reference }) => reference === title).map(rowTitle);
    const text =
      `no result of ${title}, because ${why} failed; so these have no difference, rather than ` +
      `one to another dense row: ${own.join('; ')}`;
    return [{ text, items: [] }];
  });
}

/** Whoever compares two ranks compares two factors of the update, too. */
function loraNotes(rows: readonly RowSummary[]): Note[] {
  const scaled = rows.filter(({ lora_scale: scales }) => scales !== undefined);
  const factor = ({ lora_scale: scales = [] }: RowSummary) => scales.map(formatValue).join('/');
  if (new Set(scaled.map(factor)).size < 2) return [];
  const text =
    'rows differ in LoRA’s factor lora_alpha / rank, which acts like the learning rate; of two ' +
    'ranks with one lora_alpha it differs, too (Hu et al. 2022):';
  return [{ text, items: scaled.map((row) => `${rowTitle(row)}: ${factor(row)}`) }];
}

function dataNotes({ data_warnings: items = [] }: TaskSummary): Note[] {
  return items.length === 0 ? [] : [{ text: 'the data may mislead:', items }];
}

/** Which rows are marked, why, and for how many of their trials. */
function degenerateNotes(rows: readonly RowSummary[]): Note[] {
  const items = rows.flatMap((row) => {
    const reasons = Object.entries(DEGENERATE_WARNINGS)
      .filter(([code]) => row.degenerate[code] !== undefined)
      .map(
        ([code, words]) =>
          `${words} in ${row.degenerate[code]!} of ${plural(row.seeds, 'trial')} (${code})`,
      );
    return reasons.length === 0 ? [] : [`${rowTitle(row)}: ${reasons.join('; ')}`];
  });
  return items.length === 0
    ? []
    : [{ text: `${DEGENERATE_MARK} degenerate, so these numbers mean little:`, items }];
}

/** What made each row, if that is not the same for the whole sweep. */
function makerNotes(rows: readonly RowSummary[]): Note[] {
  const items = rows
    .filter(({ made_by }) => Object.keys(made_by ?? {}).length > 0)
    .map((row) => {
      const counts = Object.entries(row.made_by!);
      return `${rowTitle(row)}: ${counts.map(([made, n]) => `${made} (${n})`).join('; ')}`;
    });
  if (items.length === 0) return [];
  const text =
    'trials were made on different frameworks or devices, which may be part of any difference; ' +
    'trials by row:';
  return [{ text, items }];
}

/** For metrics that choose the best threshold on the same rows that they measure. */
function thresholdNotes(rows: readonly RowSummary[]): Note[] {
  const metrics = [...new Set(rows.flatMap(({ thresholds = {} }) => Object.keys(thresholds)))];
  return metrics.map((metric) => ({
    text: `${metricTitle(metric)} uses the no-answer threshold best on the same rows; by seed:`,
    items: rows
      .filter(({ thresholds }) => thresholds?.[metric] !== undefined)
      .map(
        (row) => `${rowTitle(row)}: ${row.thresholds![metric]!.map(formatThreshold).join(', ')}`,
      ),
  }));
}

function formatThreshold(value: number): string {
  return value.toFixed(2).replace('-', '−');
}

function budgetNotes({ at_dense_budget: comparisons, metrics, margin }: TaskSummary): Note[] {
  const deciding = metrics[0]!;
  return comparisons.map(({ reference, kept, rows }) => ({
    text:
      `at the dense adapter's budget of ` +
      `${formatCount(kept)} weights (${reference}), Δ ${metricTitle(deciding)}:`,
    items: rows.map(
      (row) =>
        `${rowTitle(row)}${row.kept === kept ? '' : ` (${formatCount(row.kept)} weights)`}: ` +
        formatDifference(row.difference[deciding], margin),
    ),
  }));
}
