/** Commands that a user may paste into a shell. */

/** Words that shells take as they are; zsh looks for a program behind a first `=`. */
const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

/** A word of a command, in quotes if the shell would change it. */
export function quoteWord(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command from its words, each quoted where that is needed. */
export function quoteCommand(...words: string[]): string {
  return words.map(quoteWord).join(' ');
}
