const OR = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** `one, another or a third`. */
export function joinOr(words: readonly string[]): string {
  return OR.format(words);
}
