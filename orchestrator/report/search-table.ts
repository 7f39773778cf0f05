/** The section on a task's search, as a table and for a terminal. */
import { plural } from '../base/plural';
import { axisTitle, formatValue, nameValues } from './axes';
import type { Note, ReportDocument } from './report-document';
import {
  formatCount,
  formatDifference,
  formatMean,
  formatPercent,
  formatSetting,
  metricTitle,
} from './format';
import { nameRungs } from './rung-words';
import type { CandidateSummary, ChoiceSummary, SearchSummary } from './search-types';

const AT_EDGE = 'at the edge: try beyond';
/** More values than these are counted in a terminal. */
const LISTED_VALUES = 6;

/** All candidates of each row, with what was chosen, and how clearly. */
export function buildSearchTable(
  task: string,
  search: SearchSummary,
): ReportDocument['tables'][number] {
  const { over, metric, choices } = search;
  return {
    title: searchTitle(task, search),
    header: ['row', ...over.map(axisTitle), 'n', `${metricTitle(metric)}, held out`, 'choice'],
    rows: choices.flatMap((choice) =>
      choice.candidates.map((candidate, i) => [
        i === 0 ? choice.row : '',
        ...over.map((key) => formatValue(candidate.values[key])),
        String(candidate.metric?.n ?? 0),
        formatMean(candidate.metric ?? undefined),
        describeCandidate(choice, i),
      ]),
    ),
    notes: searchNotes(search),
  };
}

/** A line for each row: what was chosen, from what, how clearly. Without a choice, why. */
export function renderSearchLines(task: string, search: SearchSummary): string {
  const cells = search.choices.map((choice) => [choice.row, describeChoice(choice)]);
  const width = Math.max(...cells.map(([row]) => row!.length));
  return [
    searchTitle(task, search),
    ...cells.map(([row, words]) => `  ${row!.padEnd(width)}  ${words}`),
    ...searchNotes(search).map(({ text }) => `  · ${text}`),
  ].join('\n');
}

function searchTitle(task: string, { over, decided }: SearchSummary): string {
  const axes = over.map(axisTitle).join(' and ');
  return `${task}: how ${axes} ${decided ? 'was' : 'is'} chosen`;
}

function describeCandidate(choice: ChoiceSummary, index: number): string {
  const candidate = choice.candidates[index]!;
  const isChosen = choice.chosen === index;
  const { stopped_at: end } = candidate;
  return [
    ...(isChosen ? ['chosen', ...describeClarity(choice)] : []),
    ...(end === undefined || isChosen ? [] : [`stopped at ${formatSetting(end)}`]),
    ...[describeFailures(candidate)].filter((failure) => failure !== ''),
  ].join('; ');
}

function describeChoice(choice: ChoiceSummary): string {
  const { candidates, chosen } = choice;
  const failures = candidates
    .filter(({ failed }) => failed.length > 0)
    .map((candidate) => `${nameValues(candidate.values)} ${describeFailures(candidate)}`);
  const values =
    candidates.length > LISTED_VALUES
      ? plural(candidates.length, 'candidate')
      : candidates
          .map(({ values }) => Object.values(values).map(formatValue).join(' / '))
          .join(', ');
  if (chosen === undefined) return [`undecided, from ${values}`, ...failures].join('; ');
  if (chosen === null) return ['none: every candidate failed', ...failures].join('; ');
  const best = candidates[chosen]!;
  return [`${nameValues(best.values)} of ${values}`, ...describeClarity(choice), ...failures].join(
    '; ',
  );
}

/** How far it is before the second, and whether it is at the edge. */
function describeClarity({
  candidates,
  chosen,
  second,
  lead,
  at_edge: edges = [],
}: ChoiceSummary): string[] {
  const edge = edges.length === 0 ? [] : [`${edges.map(axisTitle).join(', ')} ${AT_EDGE}`];
  const end = candidates[chosen ?? -1]?.stopped_at;
  const when = end === undefined ? '' : ` after ${formatSetting(end)} of training`;
  if (second === undefined) return [`no other candidate to compare with${when}`, ...edge];
  const other = nameValues(candidates[second]!.values);
  return [`${formatDifference(lead)} to ${other}${when}`, ...edge];
}

function describeFailures({ failed, seeds }: CandidateSummary): string {
  if (failed.length === 0) return '';
  const reasons = [...new Set(failed.map(({ error }) => error.replaceAll(/\s+/g, ' ').trim()))];
  return `failed in ${failed.length} of ${plural(seeds, 'trial')}: ${reasons.join('; ')}`;
}

function describeStopEarly({
  rungs,
  keep,
  steps,
  trained: { rows, of },
}: NonNullable<SearchSummary['stop_early']>): string {
  const share =
    of === 0 ? '' : ` (${formatPercent(rows / of)} of what all would take to their end)`;
  return (
    `stopped early: after ${nameRungs(rungs, steps).join(' and ')} of their training, ` +
    `${formatSetting(keep)} of the candidates go on, rounded up; trained on ` +
    `${formatCount(rows)} rows${share}`
  );
}

function searchNotes(search: SearchSummary): Note[] {
  const { held_out: held, seeds, trials, decided, stop_early: stopEarly } = search;
  const say = (text: string): Note => ({ text, items: [] });
  const ended = trials.failed + trials.cancelled;
  const early = trials.stopped > 0 ? `, ${trials.stopped} stopped early` : '';
  const progress =
    `undecided: ${trials.done} of ${trials.planned} trials of the search are done${early}` +
    (ended > 0 ? `, ${ended} failed or cancelled` : '') +
    '; the rows of the comparison follow';
  return [
    ...(decided ? [] : [say(progress)]),
    say(
      `validation rows played no part: ${formatCount(held.rows)} of ${formatCount(held.of)} rows ` +
        `of train were held out; ${seeds.length === 1 ? 'seed' : 'seeds'} of the search ` +
        `${seeds.join(', ')}`,
    ),
    ...(stopEarly === undefined ? [] : [say(describeStopEarly(stopEarly))]),
  ];
}
