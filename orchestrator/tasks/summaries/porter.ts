/**
 * Porter's stemmer (Porter 1980, "An algorithm for suffix stripping"), with the changes of NLTK's
 * default mode (NLTK_EXTENSIONS), because papers report ROUGE that is computed with it:
 * - the words of IRREGULAR have fixed stems; words of one or two letters stay unchanged;
 * - steps 1a, 1b: in words of four letters, ies and ied become ie (dies, died); in longer words ied
 *   becomes i;
 * - steps 1b, 5a: the condition *o also holds for a stem of a vowel and a consonant;
 * - step 1c: y becomes i after a consonant that is not the word's first letter, whether or not
 *   there is a vowel before it;
 * - step 2: there are rules for bli, fulli and logi (the l of logi counts as part of the stem), and
 *   after alli the step is repeated.
 */

const IRREGULAR: ReadonlyMap<string, string> = new Map(
  Object.entries({
    sky: ['sky', 'skies'],
    die: ['dying'],
    lie: ['lying'],
    tie: ['tying'],
    news: ['news'],
    inning: ['innings', 'inning'],
    outing: ['outings', 'outing'],
    canning: ['cannings', 'canning'],
    howe: ['howe'],
    proceed: ['proceed'],
    exceed: ['exceed'],
    succeed: ['succeed'],
  }).flatMap(([stem, words]) => words.map((word) => [word, stem] as const)),
);

/** The stem of a word in lower case. */
export function porterStem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  return [step1a, step1b, step1c, step2, step3, step4, step5a, step5b].reduce(
    (stem, step) => step(stem),
    word,
  );
}

/**
 * `c` or `v` for each character: a, e, i, o, u and a y after a consonant are vowels; everything
 * else, even a digit, counts as a consonant.
 */
function shape(word: string): string {
  let found = '';
  for (let i = 0; i < word.length; i++) {
    const vowel = 'aeiou'.includes(word[i]!) || (word[i] === 'y' && i > 0 && found[i - 1] === 'c');
    found += vowel ? 'v' : 'c';
  }
  return found;
}

/** m in the paper: how often a consonant follows a vowel. */
function measure(stem: string): number {
  return shape(stem).split('vc').length - 1;
}

const hasMeasure = (stem: string) => measure(stem) > 0;
const hasLongMeasure = (stem: string) => measure(stem) > 1;

/** *d in the paper. */
function endsInDoubleConsonant(word: string): boolean {
  return word.length >= 2 && word.at(-1) === word.at(-2) && shape(word).endsWith('c');
}

/** *o in the paper. */
function endsInShortSyllable(word: string): boolean {
  const letters = shape(word);
  return letters === 'vc' || (letters.endsWith('cvc') && !'wxy'.includes(word.at(-1)!));
}

/** A suffix, its replacement, and a condition on the stem before it. */
type Rule = readonly [suffix: string, replacement: string, condition?: (stem: string) => boolean];

/** Applies only the first rule with a matching suffix, even if its condition does not hold. */
function applyFirst(word: string, rules: readonly Rule[]): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement, condition] = rule;
  const stem = word.slice(0, word.length - suffix.length);
  return condition === undefined || condition(stem) ? stem + replacement : word;
}

function step1a(word: string): string {
  if (word.length === 4 && word.endsWith('ies')) return word.slice(0, -1);
  return applyFirst(word, [
    ['sses', 'ss'],
    ['ies', 'i'],
    ['ss', 'ss'],
    ['s', ''],
  ]);
}

function step1b(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2);
  if (word.endsWith('eed')) return applyFirst(word, [['eed', 'ee', hasMeasure]]);
  const suffix = ['ed', 'ing'].find(
    (each) => word.endsWith(each) && shape(word.slice(0, -each.length)).includes('v'),
  );
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem;
}

function step1c(word: string): string {
  return applyFirst(word, [['y', 'i', (stem) => stem.length > 1 && shape(stem).endsWith('c')]]);
}

const STEP_2: readonly Rule[] = [
  ['ational', 'ate', hasMeasure],
  ['tional', 'tion', hasMeasure],
  ['enci', 'ence', hasMeasure],
  ['anci', 'ance', hasMeasure],
  ['izer', 'ize', hasMeasure],
  ['bli', 'ble', hasMeasure],
  ['entli', 'ent', hasMeasure],
  ['eli', 'e', hasMeasure],
  ['ousli', 'ous', hasMeasure],
  ['ization', 'ize', hasMeasure],
  ['ation', 'ate', hasMeasure],
  ['ator', 'ate', hasMeasure],
  ['alism', 'al', hasMeasure],
  ['iveness', 'ive', hasMeasure],
  ['fulness', 'ful', hasMeasure],
  ['ousness', 'ous', hasMeasure],
  ['aliti', 'al', hasMeasure],
  ['iviti', 'ive', hasMeasure],
  ['biliti', 'ble', hasMeasure],
  ['fulli', 'ful', hasMeasure],
  ['logi', 'log', (stem) => hasMeasure(`${stem}l`)],
];

function step2(word: string): string {
  if (!word.endsWith('alli')) return applyFirst(word, STEP_2);
  return hasMeasure(word.slice(0, -4)) ? step2(word.slice(0, -2)) : word;
}

const STEP_3: readonly Rule[] = [
  ['icate', 'ic', hasMeasure],
  ['ative', '', hasMeasure],
  ['alize', 'al', hasMeasure],
  ['iciti', 'ic', hasMeasure],
  ['ical', 'ic', hasMeasure],
  ['ful', '', hasMeasure],
  ['ness', '', hasMeasure],
];

function step3(word: string): string {
  return applyFirst(word, STEP_3);
}

const suffixesOfStep4 =
  'al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize'.split(' ');
const STEP_4 = suffixesOfStep4.map((suffix): Rule => {
  return [suffix, '', (stem) => hasLongMeasure(stem) && (suffix !== 'ion' || /[st]$/.test(stem))];
});

function step4(word: string): string {
  return applyFirst(word, STEP_4);
}

function step5a(word: string): string {
  const drops = (stem: string) =>
    measure(stem) > 1 || (measure(stem) === 1 && !endsInShortSyllable(stem));
  return applyFirst(word, [['e', '', drops]]);
}

function step5b(word: string): string {
  return word.endsWith('ll') && hasLongMeasure(word.slice(0, -1)) ? word.slice(0, -1) : word;
}
