import type { Problem } from '../base/errors';

/** More problems of one file than this are counted, not listed. */
const MAX_PROBLEMS = 20;

/** The first 20 problems of a file, and a line that counts the others: `and 3 more rows`. */
export function limitProblems(file: string, problems: readonly Problem[], noun: string): Problem[] {
  const more = problems.length - MAX_PROBLEMS;
  const listed = problems.slice(0, MAX_PROBLEMS);
  return more > 0 ? [...listed, { where: file, message: `and ${more} more ${noun}` }] : listed;
}

/**
 * A value as a message quotes it: what a file holds in a place where something else is expected.
 */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
