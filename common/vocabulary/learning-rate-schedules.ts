/** How the learning rate changes after warm-up. */
import { LearningRateSchedule } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

interface LearningRateScheduleRow {
  /** The rate when `left` of the `steps` after warm-up remain. */
  rateAfterWarmup(this: void, peak: number, left: number, steps: number): number;
}

export const LEARNING_RATE_SCHEDULES = defineVocabulary<
  LearningRateSchedule,
  LearningRateScheduleRow
>()({
  linear: {
    proto: LearningRateSchedule.LEARNING_RATE_SCHEDULE_LINEAR,
    rateAfterWarmup: (peak, left, steps) => (peak * left) / steps,
  },
  constant: {
    proto: LearningRateSchedule.LEARNING_RATE_SCHEDULE_CONSTANT,
    rateAfterWarmup: (peak) => peak,
  },
});

export type LearningRateScheduleName = keyof typeof LEARNING_RATE_SCHEDULES;

export const LEARNING_RATE_SCHEDULE_NAMES = listWords(LEARNING_RATE_SCHEDULES);
