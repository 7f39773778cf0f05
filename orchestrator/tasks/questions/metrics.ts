/**
 * SQuAD's official metrics: exact match and F1 of evaluate-v1.1.py (Rajpurkar 2016) and
 * evaluate-v2.0.py (Rajpurkar 2018). Results are percentages, in [0, 100], under the names that
 * those scripts use.
 */
import { splitAtSpaces } from './python-text';

/** A question and its correct answers. */
export interface Reference {
  id: string;
  /** Those of several annotators; none if the context has no answer. */
  answers: readonly { text: string }[];
}

/** Whole words, as with `\b` of a Python pattern, which knows the letters of every script. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** The words by which answers are compared: lower case, without ASCII punctuation and articles. */
export function normalizedWords(answer: string): string[] {
  return splitAtSpaces(answer.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' '));
}

/** F1 of the words that two answers share, repetitions counted; 0 if they share none. */
function sharedWordsF1(predicted: readonly string[], gold: readonly string[]): number {
  const left = new Map<string, number>();
  for (const word of gold) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) shared++;
    left.set(word, count - 1);
  }
  if (shared === 0) return 0;
  const [precision, recall] = [shared / predicted.length, shared / gold.length];
  return (2 * precision * recall) / (precision + recall);
}

interface AnswerScore {
  exact: number;
  f1: number;
}

/** The best exact match and, independently, the best F1 over the gold answers. */
function bestOver(golds: readonly string[], score: (gold: string[]) => AnswerScore): AnswerScore {
  const scores = golds.map((gold) => score(normalizedWords(gold)));
  return {
    exact: Math.max(...scores.map(({ exact }) => exact)),
    f1: Math.max(...scores.map(({ f1 }) => f1)),
  };
}

function exactMatch(predicted: readonly string[], gold: readonly string[]): number {
  return predicted.join(' ') === gold.join(' ') ? 1 : 0;
}

/**
 * Exact match (0 or 1) and F1 in [0, 1] of one answer, as in evaluate-v1.1.py. F1 is 0 if either
 * answer has no words left after normalization.
 */
export function scoreAnswer(prediction: string, { answers }: Reference): AnswerScore {
  const predicted = normalizedWords(prediction);
  const golds = answers.map(({ text }) => text);
  return bestOver(golds, (gold) => ({
    exact: exactMatch(predicted, gold),
    f1: sharedWordsF1(predicted, gold),
  }));
}

/**
 * The same as in evaluate-v2.0.py. Gold answers without words after normalization do not count; if
 * a question has no others, its gold answer is the empty one. F1 is 1 if both answers are empty,
 * and 0 if only one is.
 */
export function scoreAnswerV2(prediction: string, { answers }: Reference): AnswerScore {
  const predicted = normalizedWords(prediction);
  const golds = answers.map(({ text }) => text).filter((text) => normalizedWords(text).length > 0);
  return bestOver(golds.length > 0 ? golds : [''], (gold) => {
    const exact = exactMatch(predicted, gold);
    return {
      exact,
      f1: predicted.length === 0 || gold.length === 0 ? exact : sharedWordsF1(predicted, gold),
    };
  });
}

/** By id. */
export type Answers = ReadonlyMap<string, string>;

/** What a question without a prediction scores in v1.1's script. */
const UNANSWERED = { exact: 0, f1: 0 };

/** Computes `exact_match` and `f1` over all questions; one without a prediction counts as 0. */
export function evaluateSquad(
  references: readonly Reference[],
  predictions: Answers,
): Record<'exact_match' | 'f1', number> {
  const scores = references.map((reference) =>
    predictions.has(reference.id)
      ? scoreAnswer(findPrediction(reference, predictions), reference)
      : UNANSWERED,
  );
  return {
    exact_match: percent(scores.map(({ exact }) => exact)),
    f1: percent(scores.map(({ f1 }) => f1)),
  };
}

/** How sure a model is that there is no answer, as a probability or any other number, by id. */
export type NoAnswerScores = ReadonlyMap<string, number>;

/** The official script's --na-prob-thresh. */
const NO_ANSWER_THRESHOLD = 1;

/**
 * Computes `exact`, `f1` and `total` over all questions, and the same with the prefixes `HasAns_`
 * and `NoAns_` over those with and without an answer, if there are any. If the no-answer score of a
 * question is above the threshold, its prediction counts as empty.
 *
 * With no-answer scores there are also `best_exact` and `best_f1`, the highest values that any
 * threshold gives on these very questions, and `best_exact_thresh` and `best_f1_thresh`, the
 * thresholds that give them.
 *
 * @param noAnswer null if there are none, so that no prediction is set aside
 * @throws RangeError for a question without a prediction or without a no-answer score
 */
export function evaluateSquadV2(
  references: readonly Reference[],
  predictions: Answers,
  noAnswer: NoAnswerScores | null,
  threshold = NO_ANSWER_THRESHOLD,
): Record<string, number> {
  const scored = references.map((reference): ScoredQuestion => {
    const prediction = findPrediction(reference, predictions);
    const answered = reference.answers.length > 0;
    return {
      ...scoreAnswerV2(prediction, reference),
      id: reference.id,
      answered,
      empty: prediction === '',
    };
  });
  const decided = scored.map((question): ScoredQuestion => {
    const setAside = noAnswer !== null && findNoAnswerScore(question.id, noAnswer) > threshold;
    const value = question.answered ? 0 : 1;
    return setAside ? { ...question, exact: value, f1: value } : question;
  });
  return {
    ...summary('', decided),
    ...summary(
      'HasAns_',
      decided.filter(({ answered }) => answered),
    ),
    ...summary(
      'NoAns_',
      decided.filter(({ answered }) => !answered),
    ),
    ...(noAnswer === null ? {} : bestThresholds(scored, noAnswer)),
  };
}

interface ScoredQuestion extends AnswerScore {
  id: string;
  /** Whether there is an answer. */
  answered: boolean;
  /** Whether the prediction is that there is no answer. */
  empty: boolean;
}

function summary(prefix: string, questions: readonly ScoredQuestion[]): Record<string, number> {
  if (questions.length === 0) return {};
  return {
    [`${prefix}exact`]: percent(questions.map(({ exact }) => exact)),
    [`${prefix}f1`]: percent(questions.map(({ f1 }) => f1)),
    [`${prefix}total`]: questions.length,
  };
}

/** Equal scores stay in the order of the no-answer file, as in the official script. */
function bestThresholds(
  scored: readonly ScoredQuestion[],
  noAnswer: NoAnswerScores,
): Record<string, number> {
  const byId = new Map(scored.map((question) => [question.id, question]));
  const surestFirst = [...noAnswer]
    .sort(([, a], [, b]) => a - b)
    .flatMap(([id, score]) => {
      const question = byId.get(id);
      return question === undefined ? [] : [{ question, score }];
    });
  const findBest = (metric: 'exact' | 'f1'): [number, number] => {
    let current = scored.filter(({ answered }) => !answered).length;
    let [best, threshold] = [current, 0];
    for (const { question, score } of surestFirst) {
      current += question.answered ? question[metric] : question.empty ? 0 : -1;
      if (current > best) [best, threshold] = [current, score];
    }
    return [(100 * best) / scored.length, threshold];
  };
  const [exact, exactThreshold] = findBest('exact');
  const [f1, f1Threshold] = findBest('f1');
  return {
    best_exact: exact,
    best_exact_thresh: exactThreshold,
    best_f1: f1,
    best_f1_thresh: f1Threshold,
  };
}

function percent(scores: readonly number[]): number {
  return (100 * scores.reduce((sum, score) => sum + score, 0)) / scores.length;
}

function findPrediction({ id }: Reference, predictions: Answers): string {
  const prediction = predictions.get(id);
  if (prediction === undefined) throw new RangeError(`there is no prediction for question ${id}`);
  return prediction;
}

function findNoAnswerScore(id: string, noAnswer: NoAnswerScores): number {
  const score = noAnswer.get(id);
  if (score === undefined) throw new RangeError(`there is no no-answer score for question ${id}`);
  return score;
}
