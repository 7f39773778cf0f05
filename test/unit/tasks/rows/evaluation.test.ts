import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../orchestrator/config/load';
import { encodeSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { evaluatePredictions } from '../../../../orchestrator/tasks/evaluate';
import { planSweep } from '../../../../orchestrator/sweep/plan';
import { backbone, dataset } from '../../support/plans';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-evaluate-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A plan of one trial of the task, with the labels of its splits on disk. */
function planned(task: string, labels: Record<string, number[]>) {
  const config = sweepConfigFrom('t', { tasks: task, seeds: 1 });
  const plan = planSweep(config, {
    backbone: backbone(),
    datasets: [dataset(task)],
    maxCohort: 1,
    defaultPrecision: 'float32',
    profileReason: null,
  });
  const folder = join(root, 'datasets', plan.datasets[0]!.digest);
  mkdirSync(folder, { recursive: true });
  for (const [split, values] of Object.entries(labels)) {
    const data = task === 'stsb' ? Float32Array.from(values) : Int32Array.from(values);
    writeFileSync(
      join(folder, `${split}.safetensors`),
      encodeSafetensors({ labels: { shape: [values.length], data } }),
    );
  }
  const trial = plan.trials[0]!;
  return {
    predict: (split: string, rows: number[][]) => {
      const logits = {
        shape: [rows.length, rows[0]!.length],
        data: Float32Array.from(rows.flat()),
      };
      mkdirSync(join(root, 'trials', trial.id), { recursive: true });
      writeFileSync(
        join(root, 'trials', trial.id, `predictions.${split}.safetensors`),
        encodeSafetensors({ logits }),
      );
    },
    evaluate: () => evaluatePredictions(root, plan, trial),
  };
}

describe('evaluatePredictions', () => {
  test('takes the class of the highest logit', async () => {
    const { predict, evaluate } = planned('mrpc', { validation: [1, 0, 1] });
    predict('validation', [
      [0, 1],
      [0, 1],
      [-2, -1],
    ]);
    expect(await evaluate()).toMatchObject({ metrics: { accuracy: 2 / 3, f1: 0.8 } });
  });

  test('takes the number itself in a regression', async () => {
    const { predict, evaluate } = planned('stsb', { validation: [1, 2, 5] });
    predict('validation', [[0.1], [0.2], [0.3]]);
    expect(await evaluate()).toEqual({
      metrics: {
        pearson: expect.closeTo(0.9608, 4) as number,
        spearman: expect.closeTo(1, 12) as number,
      },
      warnings: [],
    });
  });

  test("has both of MNLI's accuracies", async () => {
    const { predict, evaluate } = planned('mnli', {
      validation: [0, 1],
      validation_mismatched: [2, 0],
    });
    predict('validation', [
      [1, 0, 0],
      [0, 1, 0],
    ]);
    predict('validation_mismatched', [
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect((await evaluate()).metrics).toEqual({ accuracy: 1, accuracy_mismatched: 0 });
  });

  test('warns if every row is predicted as one class, the reason for a metric of 0', async () => {
    const { predict, evaluate } = planned('cola', { validation: [1, 0, 1] });
    predict('validation', [
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
    expect(await evaluate()).toEqual({
      metrics: { matthews: 0 },
      warnings: [
        'one_class_predictions: every row of validation is predicted as acceptable',
        'undefined_metric: matthews is undefined on these predictions and counts as 0',
      ],
    });
  });

  test('refuses predictions of other rows than the data set has', async () => {
    const { predict, evaluate } = planned('rte', { validation: [1, 0, 1] });
    predict('validation', [
      [0, 1],
      [0, 1],
    ]);
    await expect(evaluate()).rejects.toThrow(
      /predictions\.validation\.safetensors: has logits of shape \[2, 2\]; must be \[3, 2\]/,
    );
  });

  test('names predictions that are missing', async () => {
    await expect(planned('qnli', { validation: [1] }).evaluate()).rejects.toThrow(
      /predictions\.validation\.safetensors: cannot be read/,
    );
  });
});
