/** TrainWork: what the host's loop needs from this engine. */
import type { JobSpec, TrainWork, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { JobContext } from '../host/engine';
import { requireLabels } from '../host/splits';
import { trainTrials } from '../host/train';
import { badArtifact } from '../host/artifacts';
import { isDuringTraining, readMasks, trialFolder } from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { makeViews } from './layout';
import { reportMasks } from './mask-report';
import { PrunedTrial } from './pruned-trial';
import { RoundScores } from './round-scores';
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
    stateShapes: (trial) => stateShapes(loaded.layout(trial), trial),
    start: (trial, state) => {
      const layout = loaded.layout(trial);
      const mask = new Uint8Array(layout.prunable);
      const found = readMasks(context.root, trial.trialId, layout.prunableShapes);
      for (const [name, view] of Object.entries(makeViews(layout.prunableShapes, mask)))
        view.set(found[name]!.data);
      const isPrunedLater = isDuringTraining(trial.prune!);
      if (isPrunedLater) requireOnes(context.root, trial, mask);
      const model = new TrainedTrial(
        trial,
        loaded.parts(trial, layout, 'train'),
        mask,
        state ?? loaded.start(trial, layout, trial.prune!.reinitialize),
      );
      if (isPrunedLater) {
        model.pruning = new PrunedTrial(trial, layout, model, (scored, passed) =>
          new RoundScores(loaded, spec.dataset!, { passed, reused: passed }).find(scored, false),
        );
      }
      return model;
    },
    reportMasks: (trial, file) => {
      const layout = loaded.layout(trial);
      const masks = readMasks(context.root, trial.trialId, layout.prunableShapes, file);
      return reportMasks(context, trial.trialId, layout, masks);
    },
    config: () => ({ base_model_type: modelType, hidden_size: hidden, num_layers: layers.length }),
  });
}

/** Throws EngineFailure (BAD_ARTIFACT) if the mask that a trial begins with removes anything. */
function requireOnes(root: string, { trialId, prune }: Trial, mask: Uint8Array): void {
  if (mask.every((kept) => kept === 1)) return;
  throw badArtifact(
    `${trialFolder(root, trialId)}/masks.safetensors: has zeros, but the trial is pruned during ` +
      `training (prune.every_steps ${prune!.everySteps}); the job that prunes writes ones`,
  );
}
