/** The kinds of task beside classification, as the conformance suite tests them. */
import { join } from 'node:path';
import {
  Pruner,
  TaskKind,
  type Dataset,
  type Generation,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { trial } from './jobs';
import { writeTinyBart } from './tiny-bart';
import { writeTinyQuestions, writeTinySummaries } from './tiny-dataset';

export const GENERATION: Generation = {
  beams: 6,
  minLength: 20,
  maxLength: 30,
  noRepeatNgram: 3,
  lengthPenalty: 1,
};

/**
 * A kind of task: its data set under a root, the backbone for it, how it predicts, and what its
 * trials' settings are.
 */
export interface Kind {
  name: string;
  taskKind: TaskKind;
  /** many: rows of a split of that name, which is left out where there are none. */
  dataset(root: string, many?: number): Dataset;
  backbone(folder: string): string;
  generation?: Generation;
  labelSmoothing: number;
  /** Some of those that have prunable matrices. */
  sites: string[];
}

export const QUESTIONS: Kind = {
  name: 'question answering',
  taskKind: TaskKind.TASK_KIND_QUESTION_ANSWERING,
  dataset: writeTinyQuestions,
  backbone: () => process.env.SA_ORCH_TEST_BACKBONE!,
  labelSmoothing: 0,
  sites: ['layers.0.attention', 'layers.5.ffn'],
};

export const SUMMARIES: Kind = {
  name: 'summarization',
  taskKind: TaskKind.TASK_KIND_SUMMARIZATION,
  dataset: writeTinySummaries,
  backbone: (folder) => writeTinyBart(join(folder, 'bart')),
  generation: GENERATION,
  labelSmoothing: 0.1,
  sites: ['encoder.layers.0.attention', 'decoder.layers.1.cross_attention', 'decoder.layers.1.ffn'],
};

/** Two trials that differ in all that may differ in a cohort, the first of 20 steps. */
export function makeTrials({ labelSmoothing }: Kind, stepsOfSecond: number): [Trial, Trial] {
  return [
    trial('first', { prune: { sparsity: 0.8 }, train: { labelSmoothing, totalSteps: 20 } }),
    trial('second', {
      seed: 2,
      adapter: { attentionBottleneck: 16, ffnBottleneck: 4 },
      prune: { pruner: Pruner.PRUNER_RAND, sparsity: 0.3 },
      train: {
        labelSmoothing,
        batchSize: 5,
        totalSteps: stepsOfSecond,
        learningRate: 5e-3,
      },
    }),
  ];
}
