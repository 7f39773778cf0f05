const OR = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** `snip, grasp or synflow`. */
export function joinOr(words: readonly string[]): string {
  return OR.format(words);
}
