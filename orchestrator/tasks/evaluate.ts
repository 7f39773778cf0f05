import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { datasetPath } from './prepare';
import { float32Tensor, readSafetensors } from '../datasets/safetensors';
import { datasetOf } from '../sweep/lookup';
import type { Plan, PlannedDataset, Trial } from '../sweep/types';
import { evaluateQuestions, type QuestionEvaluation } from './questions/evaluation';
import { evaluateSummaries, type SummaryEvaluation } from './summaries/evaluation';
import { argmaxRows, evaluateSplit, type Evaluation } from './rows/metrics';

/** What a trial came to; thresholds and files are of question answering, lines of summarization. */
export type TrialEvaluation = Evaluation & Partial<QuestionEvaluation & SummaryEvaluation>;

/** Labels of a split of a prepared data set, as numbers. */
export function readLabels(root: string, dataset: PlannedDataset, split: string): number[] {
  const path = join(datasetPath(root, dataset.digest), `${split}.safetensors`);
  const labels = readSafetensors(path).get('labels');
  if (labels === undefined) {
    throw new ConfigError({ where: path, message: 'has no labels' });
  }
  return Array.from(labels.data, Number);
}

/** The splits that are predicted: all but the one that is trained on. */
export function evaluationSplits(dataset: PlannedDataset): string[] {
  return dataset.splits.map(({ name }) => name).filter((name) => name !== 'train');
}

/**
 * A trial's metrics, from its predictions.<split>.safetensors (logits float32 [rows, labels]) and
 * the labels of its data set. All splits of a task together: MNLI has accuracy (matched) and
 * accuracy_mismatched. Of question answering and summarization see evaluateQuestions and
 * evaluateSummaries.
 *
 * @throws ConfigError that names the file where predictions are missing or of another shape than
 *   the data set
 */
export function evaluatePredictions(root: string, plan: Plan, trial: Trial): TrialEvaluation {
  const dataset = datasetOf(plan, trial.dataset);
  const predictionsOf = (split: string) =>
    join(root, 'trials', trial.id, `predictions.${split}.safetensors`);
  // Their data sets have one split to be measured on.
  if (dataset.kind === 'question_answering')
    return evaluateQuestions(root, dataset, 'validation', predictionsOf('validation'));
  if (dataset.kind === 'summarization') {
    return evaluateSummaries(
      root,
      dataset,
      plan.backbone.path,
      'validation',
      predictionsOf('validation'),
    );
  }
  const metrics: Record<string, number> = {};
  const warnings: string[] = [];
  for (const split of evaluationSplits(dataset)) {
    const labels = readLabels(root, dataset, split);
    const predicted = readPredictions(predictionsOf(split), dataset, labels.length);
    if (
      dataset.kind === 'classification' &&
      new Set(predicted).size === 1 &&
      new Set(labels).size > 1
    ) {
      warnings.push(
        'one_class_predictions: every row of ' +
          `${split} is predicted as ${dataset.label_names[predicted[0]!] ?? 'no class'}`,
      );
    }
    const suffix = split.slice('validation'.length);
    const evaluation = evaluateSplit(dataset.metrics, { suffix, predicted, labels });
    Object.assign(metrics, evaluation.metrics);
    warnings.push(...evaluation.warnings);
  }
  return { metrics, warnings };
}

function readPredictions(path: string, dataset: PlannedDataset, rows: number): number[] {
  const tensors = readSafetensors(path);
  const { shape, data } = float32Tensor(tensors, 'logits');
  if (shape.length !== 2 || shape[0] !== rows || shape[1] !== dataset.num_labels) {
    const expected = `[${rows}, ${dataset.num_labels}]`;
    throw new ConfigError({
      where: path,
      message: `has logits of shape [${shape.join(', ')}]; ${expected} is expected`,
    });
  }
  return dataset.kind === 'regression'
    ? Array.from(data, (value) => (Number.isFinite(value) ? value : NaN))
    : argmaxRows(data, dataset.num_labels);
}
