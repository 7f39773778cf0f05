/**
 * Answers out of a model's logits, by the rules of Transformers' postprocess_qa_predictions
 * (run_qa.py), after Devlin 2019.
 */
import { NO_ANSWER, type QaFeature } from './features';

/** A logit for each token of a feature's row, as a span's first and as its last token. */
export interface SpanLogits {
  start: ArrayLike<number>;
  end: ArrayLike<number>;
}

export interface AnswerRules {
  /** So many starts and so many ends of each feature are looked at, the highest. */
  best: number;
  /** Tokens of an answer at most. */
  longest: number;
}

/** The official scripts' n_best_size and max_answer_length. */
export const ANSWER_RULES: AnswerRules = { best: 20, longest: 30 };

export interface ChosenAnswer {
  /**
   * v1.1's answer: the text of the best span, which can be empty (a token that is a space alone);
   * empty where no span is allowed.
   */
  text: string;
  /**
   * v2.0's answer unless the question counts as one without: the text of the best span that has
   * some.
   */
  nonEmptyText: string;
  /**
   * Score of "no answer" less that of nonEmptyText: above a threshold (officially 0), v2.0's answer
   * is the empty one.
   */
  noAnswerMargin: number;
  /** False where a logit is no finite number; the texts are then empty. */
  finite: boolean;
}

/** What is read of a feature here. */
export type Window = Pick<QaFeature, 'contextBegin' | 'begins' | 'ends'>;

interface Span {
  text: string;
  start: number;
  end: number;
  /** start + end. */
  score: number;
}

/**
 * The answer to one question: of all its features the span of context tokens with the highest sum
 * of start and end logit. Sums are of float32, as the logits are, so that what is equal there is
 * equal here; of equal ones the first counts.
 *
 * @param features at least one, in order
 * @param logits of each feature
 */
export function chooseAnswer(
  context: string,
  features: readonly Window[],
  logits: readonly SpanLogits[],
  rules: AnswerRules = ANSWER_RULES,
): ChosenAnswer {
  if (!logits.every(({ start, end }) => allFinite(start) && allFinite(end))) {
    return { text: '', nonEmptyText: '', noAnswerMargin: 0, finite: false };
  }
  let noAnswer = Infinity;
  const spans: Span[] = [];
  for (const [i, feature] of features.entries()) {
    const { start, end } = logits[i]!;
    noAnswer = Math.min(noAnswer, Math.fround(start[NO_ANSWER]! + end[NO_ANSWER]!));
    spans.push(...listSpans(context, feature, logits[i]!, rules));
  }
  // Array.sort keeps the order of equal ones.
  const best = spans.sort((a, b) => b.score - a.score);
  const {
    text: nonEmptyText,
    start,
    end,
  } = best.find(({ text }) => text !== '') ?? { text: '', start: 0, end: 0 };
  const noAnswerMargin = Math.fround(Math.fround(noAnswer - start) - end);
  return { text: best[0]?.text ?? '', nonEmptyText, noAnswerMargin, finite: true };
}

function listSpans(
  context: string,
  { contextBegin, begins, ends }: Window,
  { start, end }: SpanLogits,
  { best, longest }: AnswerRules,
): Span[] {
  const inContext = (token: number) =>
    token >= contextBegin && token < contextBegin + begins.length;
  const lasts = highest(end, best).filter(inContext);
  return highest(start, best)
    .filter(inContext)
    .flatMap((first) =>
      lasts
        .filter((last) => last >= first && last - first < longest)
        .map((last) => ({
          text: context.slice(begins[first - contextBegin], ends[last - contextBegin]),
          start: start[first]!,
          end: end[last]!,
          score: Math.fround(start[first]! + end[last]!),
        })),
    );
}

/** The places of the `count` highest values, the highest first. */
function highest(values: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]!)
    .slice(0, count);
}

function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
