/** Turns a trial's logits into answers, and these into SQuAD's metrics. */
import { ConfigError } from '../../base/errors';
import { readFloat32 } from '../../datasets/safetensors';
import { datasetPath } from '../../datasets/splits';
import type { Evaluation, EvaluationRequest, Metrics, TrialEvaluation } from '../family';
import { chooseAnswer, type ChosenAnswer, type SpanLogits } from './answers';
import type { QuestionDataset } from './dataset';
import { readQuestionSplit, type StoredExample, type StoredFeature } from './files';
import { evaluateSquad, evaluateSquadV2 } from './metrics';

export const questionEvaluation: Evaluation<QuestionDataset> = {
  evaluate: evaluateQuestions,
  countConfusions: () => [],
  measureBaseline: () => null,
};

/** With v2.0, the answer is empty if the margin is above this. */
const NO_ANSWER_MARGIN = 0;

/**
 * Finds a trial's answers to the validation questions, and their metrics in [0, 1].
 *
 * With v2.0 the files are `answers` (empty if the margin is above 0; `f1` and `exact_match` use
 * these), `spans` (the best non-empty answers) and `no_answer` (the margins). `best_f1` is the F1
 * of the spans if those with a margin above a threshold count as empty, for the threshold that is
 * best on these very questions (Devlin 2019).
 *
 * Predictions are logits float32 [tokens, 2].
 */
function evaluateQuestions({
  root,
  dataset,
  findPredictions,
}: EvaluationRequest<QuestionDataset>): TrialEvaluation {
  const split = 'validation';
  const folder = datasetPath(root, dataset.digest);
  const { examples, chosen } = answerQuestions(folder, split, findPredictions(split));
  const noAnswer = dataset.questions.no_answer;
  const answers = examples.map(({ id }, i): [string, string] => [
    id,
    chooseText(chosen[i]!, dataset),
  ]);
  const spans = examples.map(({ id }, i): [string, string] => [id, chosen[i]!.nonEmptyText]);
  const margins = examples.map(({ id }, i): [string, number] => [id, chosen[i]!.noAnswerMargin]);
  const found = noAnswer
    ? measureV2(examples, answers, spans, margins)
    : measureV1(examples, answers);
  const { metrics, warnings } = selectMetrics(dataset.metrics, found);
  return {
    metrics,
    warnings: [...findDegenerate(split, examples, chosen, answers), ...warnings],
    thresholds:
      'best_f1' in metrics && found.best_f1_thresh !== undefined
        ? { best_f1: found.best_f1_thresh }
        : {},
    files: {
      [`answers.${split}.json`]: Object.fromEntries(answers),
      ...(noAnswer
        ? {
            [`spans.${split}.json`]: Object.fromEntries(spans),
            [`no_answer.${split}.json`]: Object.fromEntries(margins),
          }
        : {}),
    },
  };
}

/**
 * Chooses the answers to a split's questions.
 *
 * @param predictions the path of logits float32 [tokens, 2]
 */
export function answerQuestions(
  folder: string,
  split: string,
  predictions: string,
): { examples: StoredExample[]; chosen: ChosenAnswer[] } {
  const { examples, features } = readQuestionSplit(folder, split);
  return { examples, chosen: chooseAnswers(examples, features, readLogits(predictions, features)) };
}

/** The answer by the rules of the data set: empty if there is none. */
export function chooseText(
  { text, nonEmptyText, noAnswerMargin }: ChosenAnswer,
  { questions }: Pick<QuestionDataset, 'questions'>,
): string {
  if (!questions.no_answer) return text;
  return noAnswerMargin > NO_ANSWER_MARGIN ? '' : nonEmptyText;
}

function chooseAnswers(
  examples: readonly StoredExample[],
  features: readonly StoredFeature[],
  logits: Float32Array,
): ChosenAnswer[] {
  const ofExample = examples.map((): StoredFeature[] => []);
  for (const feature of features) ofExample[feature.example]!.push(feature);
  return examples.map(({ context }, i) => {
    const own = ofExample[i]!;
    return chooseAnswer(
      context,
      own,
      own.map((feature) => sliceLogits(logits, feature)),
    );
  });
}

/** Starts and ends alternate in [tokens, 2]. */
function sliceLogits(logits: Float32Array, { from, to }: StoredFeature): SpanLogits {
  const [start, end] = [new Float32Array(to - from), new Float32Array(to - from)];
  for (let token = from; token < to; token++) {
    start[token - from] = logits[2 * token]!;
    end[token - from] = logits[2 * token + 1]!;
  }
  return { start, end };
}

function readLogits(path: string, features: readonly StoredFeature[]): Float32Array {
  const { shape, data } = readFloat32(path, 'logits');
  const tokens = features.at(-1)?.to ?? 0;
  if (shape.length !== 2 || shape[0] !== tokens || shape[1] !== 2) {
    throw new ConfigError({
      where: path,
      message: `has logits of shape [${shape.join(', ')}]; must be [${tokens}, 2]`,
    });
  }
  return data;
}

type ById<Value> = [id: string, value: Value][];

function measureV1(
  examples: readonly StoredExample[],
  answers: ById<string>,
): Record<string, number> {
  return fractions(evaluateSquad(examples, new Map(answers)));
}

function measureV2(
  examples: readonly StoredExample[],
  answers: ById<string>,
  spans: ById<string>,
  margins: ById<number>,
): Record<string, number | undefined> {
  const decided = fractions(evaluateSquadV2(examples, new Map(answers), null));
  const { best_f1, best_f1_thresh } = evaluateSquadV2(examples, new Map(spans), new Map(margins));
  return {
    f1: decided.f1,
    exact_match: decided.exact,
    best_f1: best_f1! / 100,
    best_f1_thresh,
    has_answer_f1: decided.HasAns_f1,
    no_answer_f1: decided.NoAns_f1,
  };
}

const fractions = (percent: Record<string, number>) =>
  Object.fromEntries(Object.entries(percent).map(([name, value]) => [name, value / 100]));

/** An undefined metric (no question has an answer, or all have one) counts as 0, with a warning. */
function selectMetrics(
  names: readonly string[],
  found: Record<string, number | undefined>,
): Metrics {
  const missing = names.filter((name) => found[name] === undefined);
  return {
    metrics: Object.fromEntries(names.map((name) => [name, found[name] ?? 0])),
    warnings: missing.map(
      (name) => `undefined_metric: ${name} is undefined on these questions and counts as 0`,
    ),
  };
}

function findDegenerate(
  split: string,
  examples: readonly StoredExample[],
  chosen: readonly ChosenAnswer[],
  answers: ById<string>,
): string[] {
  const broken = chosen.filter(({ finite }) => !finite).length;
  const allEmpty =
    answers.every(([, text]) => text === '') &&
    examples.some((example) => example.answers.length > 0);
  return [
    ...(broken > 0
      ? [
          'non_finite_predictions: ' +
            `${broken} of ${chosen.length} questions have logits that are NaN or infinite`,
        ]
      : []),
    ...(allEmpty ? [`empty_answers: every answer of ${split} is empty`] : []),
  ];
}
