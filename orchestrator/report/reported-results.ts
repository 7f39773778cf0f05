/** Results as results.jsonl and results.csv have them: with the settings of their trials. Pure. */
import { groupBy } from '../base/group-by';
import { heldOutDigests } from '../sweep/lookup';
import type { AxisValues, Plan, TrialResult } from '../sweep/types';
import { findVaried, pickValues, settingsReader } from './axes';
import { nameScoringHead } from './variants';

export interface ReportedResult extends TrialResult {
  /**
   * Its learning rate, whatever of its training differs within a task or was searched, and the head
   * that its weights were scored with if some trial has another one than the published code.
   */
  settings: AxisValues;
  /** Absent unless the sweep has a search. */
  phase?: 'search' | 'comparison';
}

/** The plan's results among these, sorted by trial id. */
export function reportResults(plan: Plan, results: readonly TrialResult[]): ReportedResult[] {
  const settings = readAllSettings(plan);
  const searched = heldOutDigests(plan);
  const phases = new Map(
    plan.trials.map(({ id, dataset }) => [
      id,
      searched.has(dataset) ? ('search' as const) : ('comparison' as const),
    ]),
  );
  return results
    .flatMap((result) => {
      const known = settings.get(result.trial_id);
      if (known === undefined) return [];
      const phase = plan.search ? { phase: phases.get(result.trial_id)! } : {};
      return [{ ...result, settings: known, ...phase }];
    })
    .sort((a, b) => (a.trial_id < b.trial_id ? -1 : 1));
}

/** The settings of all trials, by id. */
function readAllSettings({ datasets, trials, search }: Plan): Map<string, AxisValues> {
  const over = search?.over ?? [];
  const byDataset = groupBy(trials, ({ dataset }) => dataset);
  const read = datasets.flatMap((dataset) => {
    const own = byDataset.get(dataset.digest) ?? [];
    const reader = settingsReader(own, dataset, over);
    return [own.map((trial) => ({ id: trial.id, values: reader(trial), trial }))];
  });
  const varied = read.flatMap((own) => findVaried(own.map(({ values }) => values)));
  const keys = [...new Set(['learning_rate', ...over, ...varied])];
  const hasHeads = trials.some(({ prune }) => prune.scoring_head !== undefined);
  return new Map(
    read.flat().map(({ id, values, trial: { prune } }) => {
      const head: AxisValues = hasHeads ? { scoring_head: nameScoringHead(prune) } : {};
      return [id, { ...pickValues(values, keys), ...head }];
    }),
  );
}
