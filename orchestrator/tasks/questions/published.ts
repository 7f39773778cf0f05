/** SQuAD v1.1 (Rajpurkar 2016) and v2.0 (Rajpurkar 2018), by the names that configurations use. */
import type { Benchmark, PublishedTask } from '../../datasets/published';
import type { SquadTask } from './squad-json';

/**
 * Outputs of a model of question answering: a token's logits as an answer's first and as its last.
 */
export const QUESTION_OUTPUTS = 2;

const BENCHMARK: Benchmark = {
  name: 'SQuAD',
  folder: 'squad',
  names: "SQuAD's own file names are",
  example: 'train-v1.1.json',
};

export const SQUAD: readonly PublishedTask[] = [
  describeTask('squad', 'v1.1', 'plain_text'),
  describeTask('squad_v2', 'v2.0', 'squad_v2'),
];

/** @param folder where the hub's repository has its files */
function describeTask(name: SquadTask, version: string, folder: string): PublishedTask {
  return {
    name,
    kind: 'question_answering',
    num_labels: QUESTION_OUTPUTS,
    benchmark: BENCHMARK,
    files: { train: [`train-${version}.json`], validation: [`dev-${version}.json`] },
    hub: {
      repo: `rajpurkar/${name}`,
      files: {
        train: `${folder}/train-00000-of-00001.parquet`,
        validation: `${folder}/validation-00000-of-00001.parquet`,
      },
    },
  };
}

/**
 * Metrics of questions in report order, the first decides; the second list is of questions that may
 * have no answer.
 */
export const ANSWERED_METRICS = ['f1', 'exact_match'] as const;
export const QUESTION_METRICS = [
  ...ANSWERED_METRICS,
  'best_f1',
  'has_answer_f1',
  'no_answer_f1',
] as const;

/** What questions are measured by where nobody says it. */
export function chooseMetrics(noAnswer: boolean): readonly string[] {
  return noAnswer ? QUESTION_METRICS : ANSWERED_METRICS;
}
