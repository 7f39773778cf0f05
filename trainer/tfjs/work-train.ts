/** TrainWork: what the host's loop needs from this engine. */
import type { JobSpec, TrainWork } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { JobContext } from '../host/engine';
import { requireLabels } from '../host/splits';
import { trainTrials } from '../host/train';
import { readMasks } from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { makeViews } from './layout';
import { stateShapes, TrainedTrial } from './trial-model';

export async function runTrain(
  loaded: LoadedJob,
  spec: JobSpec,
  work: TrainWork,
  context: JobContext,
): Promise<void> {
  const split = loaded.split('train');
  requireLabels(split, spec.dataset!, 'train');
  const { modelType, hidden, layers } = loaded.backbone;
  await trainTrials(spec, work, context, {
    rows: split.offsets.length - 1,
    stateShapes: (trial) => stateShapes(loaded.layout(trial)),
    start: (trial, state) => {
      const layout = loaded.layout(trial);
      const mask = new Uint8Array(layout.prunable);
      const found = readMasks(context.root, trial.trialId, layout.prunableShapes);
      for (const [name, view] of Object.entries(makeViews(layout.prunableShapes, mask)))
        view.set(found[name]!.data);
      return new TrainedTrial(
        trial,
        loaded.parts(trial, layout, 'train'),
        mask,
        state ?? loaded.start(trial, layout, trial.prune!.reinitialize),
      );
    },
    config: () => ({ base_model_type: modelType, hidden_size: hidden, num_layers: layers.length }),
  });
}
