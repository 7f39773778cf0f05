/**
 * ROUGE (Lin 2004), as Google's rouge-score package computes it: F1 in [0, 1] of n-grams (rouge1,
 * rouge2), of the longest common subsequence (rougeL), and of the union of the longest common
 * subsequences between lines (rougeLsum).
 */
import { porterStem } from './porter';

export const ROUGE_NAMES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum'] as const;
export type Rouge = Record<(typeof ROUGE_NAMES)[number], number>;

export interface RougeOptions {
  /** Whether words of more than three letters are compared by their stems, as most papers do. */
  stemmer: boolean;
}

/** Scores one prediction. rougeLsum takes each line as a sentence; the others ignore line ends. */
export type ScoreSummary = (reference: string, prediction: string) => Rouge;

export function rougeScorer({ stemmer }: RougeOptions): ScoreSummary {
  const stems = new Map<string, string>();
  const findStem = (word: string) => {
    let stem = stems.get(word);
    if (stem === undefined) stems.set(word, (stem = porterStem(word)));
    return stem;
  };
  const tokens = (text: string) => {
    const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    return stemmer ? words.map((word) => (word.length > 3 ? findStem(word) : word)) : words;
  };
  const sentences = (text: string) => text.split('\n').map(tokens);
  return (reference, prediction) => {
    const [gold, predicted] = [tokens(reference), tokens(prediction)];
    return {
      rouge1: f1(sharedNgrams(gold, predicted, 1), gold.length, predicted.length),
      rouge2: f1(sharedNgrams(gold, predicted, 2), gold.length - 1, predicted.length - 1),
      rougeL: f1(commonSubsequence(gold, predicted).length, gold.length, predicted.length),
      rougeLsum: f1(
        unionHits(sentences(reference), sentences(prediction)),
        gold.length,
        predicted.length,
      ),
    };
  };
}

/** The unweighted mean of each score over at least one pair. */
export function meanRouge(
  pairs: readonly { reference: string; prediction: string }[],
  options: RougeOptions,
): Rouge {
  const score = rougeScorer(options);
  const scores = pairs.map(({ reference, prediction }) => score(reference, prediction));
  const mean = (name: keyof Rouge) =>
    scores.reduce((sum, each) => sum + each[name], 0) / scores.length;
  return {
    rouge1: mean('rouge1'),
    rouge2: mean('rouge2'),
    rougeL: mean('rougeL'),
    rougeLsum: mean('rougeLsum'),
  };
}

/** The harmonic mean of hits / gold and hits / predicted; 0 without hits. */
function f1(hits: number, gold: number, predicted: number): number {
  if (hits === 0) return 0;
  const [precision, recall] = [hits / predicted, hits / gold];
  return (2 * precision * recall) / (precision + recall);
}

function countKeys<Key>(keys: Iterable<Key>): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Counts the n-grams that both have in common, repetitions included. */
function sharedNgrams(gold: readonly string[], predicted: readonly string[], n: number): number {
  const ngrams = (words: readonly string[]) =>
    words.slice(n - 1).map((_, i) => words.slice(i, i + n).join(' '));
  const counts = countKeys(ngrams(predicted));
  return [...countKeys(ngrams(gold))].reduce(
    (sum, [ngram, count]) => sum + Math.min(count, counts.get(ngram) ?? 0),
    0,
  );
}

/**
 * The places in `gold` of a longest common subsequence. If there are several, it is the one that
 * rouge-score finds, because the union depends on the choice.
 */
function commonSubsequence(gold: readonly string[], predicted: readonly string[]): number[] {
  const width = predicted.length + 1;
  // lengths[i * width + j]: the length for the first i words of gold and the first j of predicted.
  const lengths = new Uint32Array((gold.length + 1) * width);
  for (let i = 1; i <= gold.length; i++) {
    for (let j = 1; j < width; j++) {
      const at = i * width + j;
      lengths[at] =
        gold[i - 1] === predicted[j - 1]
          ? lengths[at - width - 1]! + 1
          : Math.max(lengths[at - width]!, lengths[at - 1]!);
    }
  }
  const places: number[] = [];
  for (let [i, j] = [gold.length, predicted.length]; i > 0 && j > 0;) {
    const at = i * width + j;
    if (gold[i - 1] === predicted[j - 1]) {
      places.push(--i);
      j--;
    } else if (lengths[at - 1]! > lengths[at - width]!) j--;
    else i--;
  }
  return places;
}

/**
 * Counts the words of the reference that are in a common subsequence of their sentence with any
 * predicted one. A word counts at most as often as it occurs in either text, as in ROUGE 1.5.5.
 */
function unionHits(gold: readonly string[][], predicted: readonly string[][]): number {
  const [leftInGold, leftInPredicted] = [countKeys(gold.flat()), countKeys(predicted.flat())];
  let hits = 0;
  for (const sentence of gold) {
    for (const place of new Set(predicted.flatMap((each) => commonSubsequence(sentence, each)))) {
      const word = sentence[place]!;
      const [inGold, inPredicted] = [leftInGold.get(word)!, leftInPredicted.get(word)!];
      if (inGold === 0 || inPredicted === 0) continue;
      hits++;
      leftInGold.set(word, inGold - 1);
      leftInPredicted.set(word, inPredicted - 1);
    }
  }
  return hits;
}
