/** How the density falls over rounds. */
import { PruneSchedule } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, filterWords, listWords } from './vocabulary';

interface PruneScheduleRow {
  /** The density after round k of `rounds`, if the last one leaves `final`. */
  densityAfter(this: void, k: number, rounds: number, final: number): number;
  /** Whether the code published with SparseAdapter has it. */
  readonly isPublished: boolean;
}

export const PRUNE_SCHEDULES = defineVocabulary<PruneSchedule, PruneScheduleRow>()({
  exponential: {
    proto: PruneSchedule.PRUNE_SCHEDULE_EXPONENTIAL,
    densityAfter: (k, rounds, final) => final ** (k / rounds),
    isPublished: true,
  },
  linear: {
    proto: PruneSchedule.PRUNE_SCHEDULE_LINEAR,
    densityAfter: (k, rounds, final) => 1 - ((1 - final) * k) / rounds,
    isPublished: true,
  },
  // Zhu & Gupta 2017.
  cubic: {
    proto: PruneSchedule.PRUNE_SCHEDULE_CUBIC,
    densityAfter: (k, rounds, final) => final + (1 - final) * (1 - k / rounds) ** 3,
    isPublished: false,
  },
});

export type PruneScheduleName = keyof typeof PRUNE_SCHEDULES;

export const PRUNE_SCHEDULE_NAMES = listWords(PRUNE_SCHEDULES);

export const PUBLISHED_PRUNE_SCHEDULES = filterWords(
  PRUNE_SCHEDULES,
  ({ isPublished }) => isPublished,
);
