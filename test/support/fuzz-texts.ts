import { seededRandom } from '../../orchestrator/base/seeded-random';

/** Ranges of code points: scripts, marks, controls, and characters beyond 16 bits. */
const RANGES: readonly [first: number, last: number][] = [
  [0x20, 0x7e],
  [0x00, 0x1f],
  [0x80, 0x2ff],
  [0x300, 0x36f],
  [0x370, 0x58f],
  [0x590, 0x6ff],
  [0x900, 0xfff],
  [0x1e00, 0x206f],
  [0x3000, 0x30ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xd800, 0xdfff],
  [0xf900, 0xffff],
  [0x10000, 0x1ffff],
  [0x1f300, 0x1f9ff],
  [0x20000, 0x2ffff],
  [0x30000, 0x10ffff],
];

/** Characters and words that tokenizers treat in their own ways. */
const SPECIAL = [
  ...'\ufeff\u0085\u00a0\u00ad\u200b\u200d\u2028\ufffd\u0000\u007fİıΣςǅﬁＡ▁Ġ',
  ...['[SEP]', '[MASK]', ' <mask> ', '</s>', '<unk>', '<extra_id_3>', "n't", "'LL", '##', ' \n '],
];

/**
 * Random texts: most mix two scripts with spaces and special characters, a few are single words of
 * up to 1,000 letters. Some surrogates are alone.
 */
export function fuzzTexts(count: number, seed: number): string[] {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(limit * random());
  return Array.from({ length: count }, (_, i) => {
    const isWord = i % 10 === 0;
    const length = isWord && i % 100 === 0 ? 1 + below(1000) : 1 + below(40);
    const scripts = [RANGES[below(RANGES.length)]!, RANGES[below(RANGES.length)]!];
    const letters = Array.from({ length }, () => {
      const kind = below(20);
      if (kind === 0 && !isWord) return ' ';
      if (kind === 1) return SPECIAL[below(SPECIAL.length)]!;
      const [first, last] = scripts[below(2)]!;
      return String.fromCodePoint(first + below(last - first + 1));
    });
    return letters.join('');
  });
}
