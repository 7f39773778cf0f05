/** Commands that a user may paste into a shell. */

/** Words that every POSIX shell takes as they are. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** A word of a command, in quotes if the shell would change it. */
export function quoteWord(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command from its words, each quoted where that is needed. */
export function quoteCommand(...words: string[]): string {
  return words.map(quoteWord).join(' ');
}
