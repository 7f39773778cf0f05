import type { Problem } from '../config/errors';

/** More problems of one file than this are counted, not listed. */
const MAX_PROBLEMS = 20;

/** The first 20 problems of a file, and a line that counts the others: `and 3 more rows`. */
export function limitProblems(file: string, problems: readonly Problem[], noun: string): Problem[] {
  const more = problems.length - MAX_PROBLEMS;
  const listed = problems.slice(0, MAX_PROBLEMS);
  return more > 0 ? [...listed, { where: file, message: `and ${more} more ${noun}` }] : listed;
}
