import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../../orchestrator/config/load';
import { prepareDataset } from '../../../../../orchestrator/tasks/prepare';
import { joinRows, makeOffsets } from '../../../../../orchestrator/datasets/ragged';
import { resolveDatasets } from '../../../../../orchestrator/tasks/resolve';
import { encodeSafetensors } from '../../../../../orchestrator/datasets/safetensors';
import { evaluatePredictions } from '../../../../../orchestrator/tasks/evaluate';
import { planSweep } from '../../../../../orchestrator/sweep/plan';
import { bart, writeBart } from './summaries';

/**
 * A plan of one trial, prepared in a folder: its validation has the second and third row of a file,
 * "the dog ran home" and "a cat".
 */
export async function summaryTrial(folder: string) {
  const [model, root] = [join(folder, 'bart'), join(folder, 'summaries')];
  writeBart(model);
  writeFileSync(join(folder, 'train.csv'), 'document,summary\na mill burned,mill\n');
  writeFileSync(
    join(folder, 'validation.csv'),
    'document,summary\n,none\na dog ran,the dog ran home\na cat sat,a cat\n',
  );
  const config = sweepConfigFrom('t', {
    tasks: 'xsum',
    seeds: 1,
    max_length: 20,
    max_target_length: 20,
    generation: { max_length: 20 },
  });
  const backbone = bart(model);
  const datasets = await resolveDatasets(config, { dataDir: folder, env: {}, backbone });
  await prepareDataset(datasets[0]!, model, root);
  const plan = planSweep(config, {
    backbone,
    datasets,
    maxCohort: 1,
    defaultPrecision: 'float32',
    profileReason: null,
  });
  const trial = plan.trials[0]!;
  mkdirSync(join(root, 'trials', trial.id), { recursive: true });
  return {
    model,
    root,
    plan,
    trial,
    /** Writes what was generated for each row. */
    predict: (rows: number[][]) => {
      const tensors = {
        generated_ids: joinRows(rows),
        generated_offsets: makeOffsets(rows.map(({ length }) => length)),
      };
      writeFileSync(
        join(root, 'trials', trial.id, 'predictions.validation.safetensors'),
        encodeSafetensors(tensors),
      );
    },
    evaluate: () => evaluatePredictions(root, plan, trial),
  };
}
