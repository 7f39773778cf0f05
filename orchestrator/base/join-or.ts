const OR = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** `one, two or three`. */
export function joinOr(words: readonly string[]): string {
  return OR.format(words);
}
