/** PredictWork: logits of each trial's trained adapter on the given splits. */
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec, PredictWork, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { readTensorsOf } from '../host/artifacts';
import { EngineFailure, type JobContext } from '../host/engine';
import { Pace } from '../host/pace';
import {
  describeFailure,
  describeResult,
  findWeights,
  hasPredictions,
  predictionsFile,
  writePredictions,
} from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { predict } from './model';
import { flattened } from './trial-model';

/** Rows per pass. */
const ROWS = 32;

/** Runs a predict job. Splits that already have predictions from the same adapter are skipped. */
export async function runPredict(
  loaded: LoadedJob,
  spec: JobSpec,
  { splits }: PredictWork,
  context: JobContext,
): Promise<void> {
  const { root } = context;
  const total = splits.reduce((sum, name) => sum + countRows(loaded, name), 0) * spec.trials.length;
  const pace = new Pace(context, Phase.PHASE_PREDICT, total);
  for (const trial of spec.trials) {
    const { trialId } = trial;
    try {
      for (const name of splits) {
        if (hasPredictions(root, spec, trial, name)) await pace.advance(0, countRows(loaded, name));
        else await predictSplit(loaded, spec, trial, name, context, pace);
      }
      context.emit({
        $case: 'trialResult',
        value: describeResult(
          root,
          trialId,
          splits.map((name) => predictionsFile(spec, name)),
          {},
        ),
      });
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error;
      const value = describeFailure(trialId, error.failure());
      context.emit({ $case: 'trialResult', value });
    }
  }
}

async function predictSplit(
  loaded: LoadedJob,
  spec: JobSpec,
  trial: Trial,
  name: string,
  context: JobContext,
  pace: Pace,
): Promise<void> {
  const layout = loaded.layout(trial);
  const path = findWeights(context.root, spec, trial);
  const weights = flattened(layout, readTensorsOf(path, layout.shapes));
  const { offsets } = loaded.split(name);
  const found = new Array<Float32Array>(offsets.length - 1);
  // Rows by length, so that a pass pads little.
  const byLength = Array.from(found, (_, row) => row).sort(
    (a, b) => countTokens(offsets, a) - countTokens(offsets, b),
  );
  for (let at = 0; at < byLength.length; at += ROWS) {
    const rows = byLength.slice(at, at + ROWS);
    predict(loaded.parts(trial, layout, name), weights, rows).forEach(
      (logits, i) => (found[rows[i]!] = logits),
    );
    await pace.advance(rows.length, rows.length);
    pace.stopBetweenPasses();
  }
  const labels = spec.dataset!.numLabels;
  const data = new Float32Array(found.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const logits of found) {
    data.set(logits, at);
    at += logits.length;
  }
  await writePredictions(context, spec, trial, name, {
    shape: [data.length / labels, labels],
    data,
  });
}

const countTokens = (offsets: Float64Array, row: number): number =>
  offsets[row + 1]! - offsets[row]!;

const countRows = (loaded: LoadedJob, name: string): number =>
  loaded.split(name).offsets.length - 1;
