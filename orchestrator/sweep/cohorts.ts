import { groupBy } from '../base/group-by';
import { adapterName } from './adapters';
import { readPrecision } from './precision';
import { countTrainedRows } from './trained-rows';
import type { Cohort, CohortRef, Trial } from './types';

/**
 * Trials that together train on no more rows than this are through in seconds on any trainer, so
 * that what a cohort itself costs would be most of their time.
 */
const BRIEF_ROWS = 1000;

/**
 * Forms cohorts: trials of the same data set, backbone, precision and adapter name, at most
 * `maxCohort` of them, with sizes that differ by at most one. A trial that trains tensors of
 * its backbone is alone because it has layers of its own. Data sets come in the order of the
 * trials. Within a data set, trials are taken by seed: trials with the same initial weights share
 * snip scores, and each seed's comparison with the dense adapter is complete as early as possible.
 *
 * @param before how many cohorts the sweep has already, whose ids come first
 * @param largest how many of very brief trials may be in a cohort, if that is more
 * @param evaluationsOf the steps at which a trial is evaluated; a cohort's trials share them
 */
export function formCohorts(
  trials: readonly Trial[],
  maxCohort: number,
  before = 0,
  largest = maxCohort,
  evaluationsOf: (trial: Trial) => number[] = () => [],
): Cohort[] {
  if (!Number.isInteger(maxCohort) || maxCohort < 1) {
    throw new RangeError(`maxCohort is ${maxCohort}; it must be a whole number of at least 1`);
  }
  const groups = groupBy(trials, (trial) =>
    [
      trial.dataset,
      trial.backbone,
      readPrecision(trial),
      adapterName(trial.adapter),
      ...(isAlone(trial) ? [trial.id] : []),
      ...evaluationsOf(trial),
    ].join(' '),
  );
  const chunks = [...groups.values()].flatMap((group) => {
    const bySeed = group.toSorted((a, b) => a.seed - b.seed);
    const brief = Math.floor(
      BRIEF_ROWS / Math.max(...group.map((trial) => countTrainedRows(trial))),
    );
    const size = Math.max(maxCohort, Math.min(brief, largest));
    return balancedChunks(bySeed, Math.ceil(group.length / size));
  });
  const digits = Math.max(2, String(before + chunks.length).length);
  return chunks.map((chunk, i) => {
    const steps = evaluationsOf(chunk[0]!);
    return {
      id: `c${String(before + i + 1).padStart(digits, '0')}-${chunk[0]!.task}`,
      dataset: chunk[0]!.dataset,
      trials: chunk.map((trial) => trial.id),
      ...(steps.length > 0 ? { evaluate_at: steps } : {}),
    };
  });
}

/** The plan's cohorts, as workflows know them. */
export const listCohortRefs = ({ cohorts }: { cohorts: readonly Cohort[] }): CohortRef[] =>
  cohorts.map(({ id, dataset, evaluate_at: steps }) => ({
    ...{ id, dataset },
    ...(steps && { isEvaluated: true }),
  }));

/** It has layers of its own. */
const isAlone = ({ adapter: { unfrozen, unfrozen_tensors } }: Trial): boolean =>
  unfrozen === 'all' || unfrozen_tensors !== undefined;

function balancedChunks<T>(items: readonly T[], parts: number): T[][] {
  return Array.from({ length: parts }, (_, part) =>
    items.slice(
      Math.floor((part * items.length) / parts),
      Math.floor(((part + 1) * items.length) / parts),
    ),
  );
}
