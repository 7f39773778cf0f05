/** Class names that are different to the program and probably the same to a person. Pure. */
import { groupBy } from '../base/group-by';

/** Names that look alike: as the same word, or as the same value. In the order of their first. */
export interface LookAlikes {
  names: string[];
  /** `word`: they differ only in case, spaces, hyphens, accents or Unicode normal form. */
  as: 'word' | 'value';
}

export function findLookAlikes(names: readonly string[]): LookAlikes[] {
  const words = new Set(names.map(foldWord));
  return [...groupBy(names, (name) => nameValue(foldWord(name), words)).values()]
    .filter((group) => group.length > 1)
    .map((group) => ({
      names: group,
      as: new Set(group.map(foldWord)).size === 1 ? 'word' : 'value',
    }));
}

/** Whether a name is what programs write for a missing value; `none` and `NA` are classes, too. */
export function looksMissing(name: string): boolean {
  return /^(nan|null|nat|n\/a|#n\/a|<na>)$/i.test(name);
}

/**
 * Compatibility forms, accents of Latin, Greek and Cyrillic letters, invisible characters, case,
 * spaces, and what joins words count for nothing. Marks of other scripts are letters of their own.
 */
function foldWord(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f\p{Cf}]/gu, '')
    .toUpperCase()
    .toLowerCase()
    .replace(/\s+/gu, ' ')
    .trim()
    .replace(/(?<=\p{L})[\s_\p{Pd}]+(?=\p{L})/gu, '')
    .normalize('NFC');
}

const MISSING = /^(nan|null|nat|n\/a|#n\/a|<na>|na|none|nil)$/;
const YES = /^(true|yes|1)$/;
const NO = /^(false|no|0)$/;
/** Without the long word beside them, these are classes such as letters of the alphabet. */
const ABBREVIATED: Readonly<Record<string, string>> = { t: 'true', f: 'false', y: 'yes', n: 'no' };

/** What a folded name among others stands for; itself if it is only a word. */
function nameValue(word: string, words: ReadonlySet<string>): string {
  if (MISSING.test(word)) return 'missing value';
  const long = ABBREVIATED[word];
  const value = long !== undefined && words.has(long) ? long : nameNumber(word);
  if (YES.test(value)) return 'yes';
  if (NO.test(value)) return 'no';
  return value;
}

/** A number without what does not change its value: `+01.50` and `15e-1` as `1.5`. */
function nameNumber(word: string): string {
  const parts = /^([+-]?)(?=\.?\d)(\d*)\.?(\d*)(e[+-]?\d+)?$/.exec(word);
  if (parts === null) return word;
  const [, sign, whole = '', fraction = '', exponent] = parts;
  // Digits are compared as they are written, because a double cannot hold long ones apart.
  if (exponent !== undefined) return Number.isFinite(Number(word)) ? String(Number(word)) : word;
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  const rest = fraction.replace(/0+$/, '');
  const plain = rest === '' ? digits : `${digits}.${rest}`;
  return sign === '-' && plain !== '0' ? `-${plain}` : plain;
}
