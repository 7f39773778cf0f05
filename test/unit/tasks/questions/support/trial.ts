import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../../orchestrator/config/load';
import { datasetPath, prepareDataset } from '../../../../../orchestrator/tasks/prepare';
import { readQuestionSplit } from '../../../../../orchestrator/tasks/questions/files';
import { resolveDatasets } from '../../../../../orchestrator/tasks/resolve';
import { encodeSafetensors } from '../../../../../orchestrator/datasets/safetensors';
import { evaluatePredictions } from '../../../../../orchestrator/tasks/evaluate';
import { planSweep } from '../../../../../orchestrator/sweep/plan';
import { backbone } from '../../../support/plans';
import { squadJson, WHO, writeModel, type Asked } from './questions';

/**
 * What a model says of a question: the span of context tokens that it finds, how sure it is, and of
 * there being no answer.
 */
export interface Said {
  span: [first: number, last: number];
  sure?: number;
  none?: number;
}

/**
 * A plan of one trial with these validation questions, prepared in a folder. A question fits one
 * window here.
 */
export async function questionTrial(
  folder: string,
  task: 'squad' | 'squad_v2',
  asked: readonly Asked[],
  metrics?: string[],
) {
  const [model, root] = [join(folder, 'model'), join(folder, 'root')];
  writeModel(model);
  const version = task === 'squad' ? 'v1.1' : 'v2.0';
  writeFileSync(join(folder, `train-${version}.json`), squadJson([WHO]));
  writeFileSync(join(folder, `dev-${version}.json`), squadJson(asked));
  const config = sweepConfigFrom('t', { tasks: task, seeds: 1, max_length: 40, doc_stride: 8 });
  const planning = { ...backbone(), path: model };
  const datasets = await resolveDatasets(config, { dataDir: folder, env: {}, backbone: planning });
  if (metrics) datasets[0]!.metrics = metrics;
  await prepareDataset(datasets[0]!, model, root);
  const plan = planSweep(config, {
    backbone: planning,
    datasets,
    maxCohort: 1,
    defaultPrecision: 'float32',
    profileReason: null,
  });
  const trial = plan.trials[0]!;
  const { features } = readQuestionSplit(datasetPath(root, datasets[0]!.digest), 'validation');
  const write = (shape: number[], data: Float32Array) => {
    mkdirSync(join(root, 'trials', trial.id), { recursive: true });
    writeFileSync(
      join(root, 'trials', trial.id, 'predictions.validation.safetensors'),
      encodeSafetensors({ logits: { shape, data } }),
    );
  };
  return {
    root,
    plan,
    trial,
    write,
    predict: (said: readonly Said[]) => {
      const data = new Float32Array(2 * features.at(-1)!.to);
      for (const [i, { span, sure = 5, none = 0 }] of said.entries()) {
        const { from, contextBegin } = features[i]!;
        for (const end of [0, 1]) {
          data[2 * from + end] = none;
          data[2 * (from + contextBegin + span[end]!) + end] = sure;
        }
      }
      write([data.length / 2, 2], data);
    },
    evaluate: () => evaluatePredictions(root, plan, trial),
  };
}
