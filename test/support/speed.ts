/**
 * How fast the trainer under test is here, so that work that is to be stopped in the middle can be
 * made long enough on any machine.
 */
import { Phase, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';

/** Optimizer steps per second, from the times of a training job's metrics. */
export function stepsPerSecond(trained: Event[]): number {
  const told = trained.flatMap(({ kind, time }) =>
    kind?.$case === 'metrics'
      ? [{ step: Math.max(...kind.value.metrics.map(({ step }) => step)), ms: time!.getTime() }]
      : [],
  );
  const [first, last] = [told[0]!, told.at(-1)!];
  return (1000 * (last.step - first.step)) / Math.max(1, last.ms - first.ms);
}

/** Rows per second, as the last progress of a predict job says. */
export function rowsPerSecond(predicted: Event[]): number {
  const told = predicted.flatMap(({ kind }) =>
    kind?.$case === 'progress' && kind.value.phase === Phase.PHASE_PREDICT ? [kind.value] : [],
  );
  return told.at(-1)!.rowsPerSecond;
}
