import { ConfigError, type Problem } from '../../base/errors';
import { limitProblems } from '../../tables/problem-list';
import type { SquadAnswer, SquadExample } from './squad-json';
import { openTokenizer } from '../../tokenizers/tokenizer';

export interface QaWindows {
  /** Maximum tokens per feature, including special tokens. */
  max_length: number;
  /** Number of context tokens that a feature shares with the next one of its example. */
  stride: number;
}

/** A question with a window of its context: a row for the model. */
export interface QaFeature {
  /** Index of its example. */
  example: number;
  ids: number[];
  typeIds: number[];
  /** Index of the row's first context token. */
  contextBegin: number;
  /**
   * The place of each of the window's tokens in the context: context.slice(begins[i], ends[i]),
   * with i counted from contextBegin.
   */
  begins: number[];
  ends: number[];
  /**
   * First and last row token of the first answer; NO_ANSWER for both if there is none or the window
   * does not contain all of it.
   */
  startPosition: number;
  endPosition: number;
}

/** The row token ([CLS], <s>) that means "no answer in this window". */
export const NO_ANSWER = 0;

/** Returns the features of all examples. */
export type EncodeQuestions = (examples: readonly SquadExample[]) => Promise<QaFeature[]>;

/**
 * Loads a model directory's tokenizer for questions. A row is the question, then as much of the
 * context as fits, in overlapping windows (Devlin 2019), like Transformers'
 * `tokenizer(question.lstrip(), context, truncation="only_second", stride=stride,
 * max_length=max_length, return_overflowing_tokens=True)`. Answers are marked as in its run_qa.py,
 * except for an answer in the window's last token, for which that script takes a padding token as
 * the first of the answer.
 *
 * @throws ConfigError if the tokenizer cannot do that; the encoder throws one for questions that
 *   leave no room for a context
 */
export async function loadQaTokenizer(
  modelDir: string,
  { max_length: maxLength, stride }: QaWindows,
): Promise<EncodeQuestions> {
  const { tokenize, tokenizeWithPlaces, paired, cutsBeginning } = await openTokenizer(modelDir);
  const { specials, specialsBefore } = paired;
  if (specialsBefore[0] === 0) {
    throw new ConfigError({
      where: modelDir,
      message:
        'its tokenizer begins a row without a special token; must have one, which marks "no ' +
        'answer"',
    });
  }
  return async (examples) => {
    const questions = await tokenize(examples.map(({ question }) => question.trimStart()));
    const texts = [...new Set(examples.map(({ context }) => context))];
    const placed = await tokenizeWithPlaces(texts);
    const contexts = new Map(texts.map((text, i) => [text, placed[i]!]));
    const problems: Problem[] = [];
    const features = examples.flatMap(({ id, context: text, answers }, example) => {
      const asked = questions[example]!;
      const room = maxLength - specials - asked.length;
      if (room <= stride) {
        const longest = maxLength - specials - stride - 1;
        const expected =
          `must be at most ${longest} to leave room for a context ` +
          `with max_length ${maxLength} and stride ${stride}`;
        problems.push({
          where: `question ${id}`,
          message: `has ${asked.length} tokens; ${expected}`,
        });
        return [];
      }
      const context = contexts.get(text)!;
      const contextBegin = specialsBefore[1] + asked.length;
      const ranges = findWindows(context.ids.length, { room, stride, fromEnd: cutsBeginning });
      return ranges.map(([from, to]): QaFeature => {
        const [begins, ends] = [context.begins.slice(from, to), context.ends.slice(from, to)];
        const [start, end] = answerTokens(answers[0], begins, ends)?.map(
          (token) => contextBegin + token,
        ) ?? [NO_ANSWER, NO_ANSWER];
        const filled = paired.fill(asked, context.ids.slice(from, to));
        return {
          example,
          ...filled,
          contextBegin,
          begins,
          ends,
          startPosition: start!,
          endPosition: end!,
        };
      });
    });
    if (problems.length > 0)
      throw new ConfigError(limitProblems('questions', problems, 'questions'));
    return features;
  };
}

/**
 * The range `[from, to)` of each window over `tokens` tokens. A window begins `room − stride`
 * tokens after the one before it, or ends as many before it if they are counted from the end.
 */
function findWindows(
  tokens: number,
  { room, stride, fromEnd }: { room: number; stride: number; fromEnd: boolean },
): [from: number, to: number][] {
  const found: [number, number][] = [[0, Math.min(room, tokens)]];
  while (found.at(-1)![1] < tokens) {
    const from = found.at(-1)![0] + room - stride;
    found.push([from, Math.min(from + room, tokens)]);
  }
  return fromEnd ? found.map(([from, to]) => [tokens - to, tokens - from]) : found;
}

/**
 * The window's tokens that contain the answer's first and last character; null if the answer begins
 * before the window or ends after it.
 */
function answerTokens(
  answer: SquadAnswer | undefined,
  begins: readonly number[],
  ends: readonly number[],
): [number, number] | null {
  if (answer === undefined || begins.length === 0) return null;
  const answerEnd = answer.start + answer.text.length;
  if (begins[0]! > answer.start || ends.at(-1)! < answerEnd) return null;
  const last = ends.findLastIndex((end) => end < answerEnd) + 1;
  return [begins.findLastIndex((begin) => begin <= answer.start), last];
}
