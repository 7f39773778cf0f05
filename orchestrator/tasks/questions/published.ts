/** SQuAD v1.1 (Rajpurkar 2016) and v2.0 (Rajpurkar 2018), by their names in configurations. */
import type { Benchmark, PublishedTask } from '../../datasets/published';
import type { SquadTask } from './squad-json';

/** Outputs per token: its logits as the first and as the last token of an answer. */
export const QUESTION_OUTPUTS = 2;

const BENCHMARK: Benchmark = {
  name: 'SQuAD',
  folder: 'squad',
  names: "SQuAD's own files",
  example: 'train-v1.1.json',
};

export const SQUAD: readonly PublishedTask[] = [
  describeTask('squad', 'v1.1', 'plain_text'),
  describeTask('squad_v2', 'v2.0', 'squad_v2'),
];

/** @param folder the folder of the files in the hub's repository */
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
 * Metrics in report order, of which the first is compared. The second list is for questions that
 * may have no answer.
 */
export const ANSWERED_METRICS = ['f1', 'exact_match'] as const;
export const QUESTION_METRICS = [
  ...ANSWERED_METRICS,
  'best_f1',
  'has_answer_f1',
  'no_answer_f1',
] as const;

/** The metrics of a task that names none. */
export function chooseMetrics(noAnswer: boolean): readonly string[] {
  return noAnswer ? QUESTION_METRICS : ANSWERED_METRICS;
}
