/**
 * Chooses answers by a model's logits, with the rules of Transformers' postprocess_qa_predictions
 * (run_qa.py), after Devlin 2019.
 */
import { NO_ANSWER, type QaFeature } from './features';

/** For each token of a feature's row, its logits as the first and as the last token of a span. */
export interface SpanLogits {
  start: ArrayLike<number>;
  end: ArrayLike<number>;
}

export interface AnswerRules {
  /** How many of the highest starts, and of the highest ends, are considered per feature. */
  best: number;
  /** Maximum tokens per answer. */
  longest: number;
}

/** The official scripts' n_best_size and max_answer_length. */
export const ANSWER_RULES: AnswerRules = { best: 20, longest: 30 };

export interface ChosenAnswer {
  /**
   * v1.1's answer: the text of the best span, which can be empty (a token that is only a space);
   * empty if no span is allowed.
   */
  text: string;
  /**
   * v2.0's answer, unless the question counts as unanswered: the text of the best span with any
   * text.
   */
  nonEmptyText: string;
  /**
   * The score of "no answer" minus that of nonEmptyText. Above a threshold (officially 0) v2.0's
   * answer is empty.
   */
  noAnswerMargin: number;
  /** The sum of the logits of text's span; null if no span is allowed. */
  score: number | null;
  /** That of nonEmptyText's; null if no span has any text. */
  nonEmptyScore: number | null;
  /** False if a logit is NaN or infinite; the texts are then empty. */
  finite: boolean;
}

/** The part of a feature that is used here. */
export type Window = Pick<QaFeature, 'contextBegin' | 'begins' | 'ends'>;

interface Span {
  text: string;
  start: number;
  end: number;
  /** start + end. */
  score: number;
}

/**
 * Chooses the answer to one question: the span of context tokens, in any of its features, with the
 * highest sum of start and end logit. Sums are float32 like the logits, so that sums that are equal
 * in the official script are equal here; the first of equal ones wins.
 *
 * @param features at least one, in order
 * @param logits those of each feature
 */
export function chooseAnswer(
  context: string,
  features: readonly Window[],
  logits: readonly SpanLogits[],
  rules: AnswerRules = ANSWER_RULES,
): ChosenAnswer {
  if (!logits.every(({ start, end }) => allFinite(start) && allFinite(end))) {
    const nothing = { text: '', nonEmptyText: '', score: null, nonEmptyScore: null };
    return { ...nothing, noAnswerMargin: 0, finite: false };
  }
  let noAnswer = Infinity;
  const spans: Span[] = [];
  for (const [i, feature] of features.entries()) {
    const { start, end } = logits[i]!;
    noAnswer = Math.min(noAnswer, Math.fround(start[NO_ANSWER]! + end[NO_ANSWER]!));
    spans.push(...listSpans(context, feature, logits[i]!, rules));
  }
  // Array.sort is stable: the first of equal ones stays first.
  const best = spans.sort((a, b) => b.score - a.score);
  const found = best.find(({ text }) => text !== '');
  const { text: nonEmptyText, start, end } = found ?? { text: '', start: 0, end: 0 };
  const noAnswerMargin = Math.fround(Math.fround(noAnswer - start) - end);
  const { text = '', score = null } = best[0] ?? {};
  const nonEmptyScore = found?.score ?? null;
  return { text, nonEmptyText, noAnswerMargin, score, nonEmptyScore, finite: true };
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

/** The indices of the `count` highest values, the highest first. */
function highest(values: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]!)
    .slice(0, count);
}

function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
