/** How the values of a task's searched axes were chosen, as data. Pure. */
import { sum } from '../sweep/budget';
import { findTrial } from '../sweep/lookup';
import { listStopped } from '../sweep/rungs';
import { isSearching, listTried, type Tried } from '../sweep/search';
import { countTrainedRows } from '../sweep/trained-rows';
import type { Plan, PlannedChoice, PlannedDataset, Trial } from '../sweep/types';
import type { Results } from './comparisons';
import { rowTitle } from './format';
import type { CandidateSummary, ChoiceSummary, SearchSummary } from './search-types';
import { computeMean, pairedDifference } from './statistics';
import type { Variant } from './variants';

/**
 * The trials that name a choice's row: those that are compared or, until that is known, those of
 * its first candidate.
 */
export function trialsOfChoice({ candidates, chosen }: PlannedChoice): Trial[] {
  return candidates[chosen ?? 0]!.confirm;
}

/**
 * @param variants of the task, with a row for each choice (trialsOfChoice)
 * @returns null if nothing is searched for this task
 */
export function summarizeSearch(
  plan: Plan,
  task: string,
  variants: readonly Variant[],
  results: Results,
): SearchSummary | null {
  const choices = plan.search?.choices.filter((choice) => choice.task === task) ?? [];
  const trials = findTrials(plan, choices);
  const dataset = plan.datasets.find(({ digest }) => digest === trials[0]?.dataset);
  if (plan.search === undefined || dataset === undefined) return null;
  const stopped = listStopped(plan.search);
  const count = (status: string) =>
    trials.filter(({ id }) => results.get(id)?.status === status).length;
  return {
    over: plan.search.over,
    metric: dataset.metrics[0]!,
    held_out: countHeldOut(dataset),
    seeds: [...new Set(trials.map(({ seed }) => seed))].sort((a, b) => a - b),
    trials: {
      planned: trials.length,
      done: count('done'),
      failed: count('failed'),
      cancelled: count('cancelled'),
      stopped: count('stopped'),
    },
    ...(plan.search.stop_early && {
      stop_early: {
        ...plan.search.stop_early,
        steps: [...new Set(trials.map(({ train }) => train.total_steps))].sort((a, b) => a - b),
        trained: countTrained(trials, results),
      },
    }),
    decided: !isSearching({ ...plan, search: { ...plan.search, choices } }),
    choices: choices.map((choice) => summarizeChoice(plan, choice, variants, results, stopped)),
  };
}

function findTrials(plan: Plan, choices: readonly PlannedChoice[]): Trial[] {
  const searched = new Set(
    choices.flatMap(({ candidates }) => candidates.flatMap(({ trials }) => trials)),
  );
  return plan.trials.filter(({ id }) => searched.has(id));
}

function countTrained(trials: readonly Trial[], results: Results): { rows: number; of: number } {
  const stepsOf = ({ id }: Trial) => results.get(id)?.train.steps ?? 0;
  return {
    rows: sum(trials.map((trial) => countTrainedRows(trial, stepsOf(trial)))),
    of: sum(trials.map((trial) => countTrainedRows(trial))),
  };
}

function countHeldOut({ splits }: PlannedDataset): SearchSummary['held_out'] {
  const [train, held] = ['train', 'validation'].map(
    (name) => splits.find((split) => split.name === name)?.rows ?? 0,
  ) as [number, number];
  return { rows: held, of: train + held };
}

function summarizeChoice(
  plan: Plan,
  choice: PlannedChoice,
  variants: readonly Variant[],
  results: Results,
  stopped: ReadonlyMap<string, number>,
): ChoiceSummary {
  const [first] = trialsOfChoice(choice);
  const row = variants.find(({ trials }) => trials.some(({ id }) => id === first!.id))!;
  const { pruner, sparsity } = row.config.prune;
  const tried = listTried(plan, choice, results);
  const candidates = tried.map((each) => summarizeCandidate(plan, each, results, stopped));
  const { chosen } = choice;
  return {
    row: rowTitle({ label: row.label, bottleneck: row.bottleneck, pruner, sparsity }),
    pruner,
    candidates,
    ...(chosen === undefined ? {} : { chosen }),
    ...(chosen == null ? {} : describeLead(tried, candidates, chosen)),
    ...(chosen == null ? {} : { at_edge: findEdges(choice, chosen) }),
  };
}

/** @param stopped the fraction of its training after which each stopped trial was, by id */
function summarizeCandidate(
  plan: Plan,
  tried: Tried,
  results: Results,
  stopped: ReadonlyMap<string, number>,
): CandidateSummary {
  const fractions = tried.stopped.flatMap((id) => stopped.get(id) ?? []);
  return {
    values: tried.candidate.values,
    metric: computeMean([...tried.values.values()]),
    ...(fractions.length > 0 ? { stopped_at: Math.max(...fractions) } : {}),
    seeds: tried.candidate.trials.length,
    failed: tried.failed.map((id) => {
      const { status, error } = results.get(id)!;
      const reason = status === 'cancelled' ? 'cancelled' : (error ?? 'no reason was given');
      return { trial_id: id, seed: findTrial(plan, id).seed, error: reason };
    }),
  };
}

/**
 * How far the chosen candidate is before the best of the others that were trained as long, by the
 * seeds of both.
 */
function describeLead(
  tried: readonly Tried[],
  candidates: readonly CandidateSummary[],
  chosen: number,
): Pick<ChoiceSummary, 'second' | 'lead'> {
  const { stopped_at: end } = candidates[chosen]!;
  const others = tried.flatMap(({ failed }, index) => {
    const { metric: mean, stopped_at: its } = candidates[index]!;
    return index === chosen || failed.length > 0 || mean === null || its !== end
      ? []
      : [{ index, mean: mean.mean }];
  });
  const second = others.sort((a, b) => b.mean - a.mean || a.index - b.index)[0]?.index;
  if (second === undefined) return {};
  const [best, other] = [tried[chosen]!.values, tried[second]!.values];
  const lead = pairedDifference(
    [...best].flatMap(([seed, value]) => (other.has(seed) ? [value - other.get(seed)!] : [])),
  );
  return lead === null ? { second } : { second, lead };
}

/** Axes of numbers of which the chosen candidate has the smallest or the largest value. */
function findEdges({ candidates }: PlannedChoice, chosen: number): string[] {
  return Object.entries(candidates[chosen]!.values).flatMap(([key, value]) => {
    const all = candidates.map(({ values }) => values[key]);
    const numbers = all.filter((each) => typeof each === 'number');
    const isAxis = numbers.length === all.length && new Set(numbers).size > 1;
    return isAxis && (value === Math.min(...numbers) || value === Math.max(...numbers))
      ? [key]
      : [];
  });
}
