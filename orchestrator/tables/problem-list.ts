import type { Problem } from '../base/errors';

/** Beyond this number the problems of a file are counted instead of listed. */
export const MAX_PROBLEMS = 20;

/** The first 20 problems of a file, and one that counts the rest: `and 3 more rows`. */
export function limitProblems(file: string, problems: readonly Problem[], noun: string): Problem[] {
  const more = problems.length - MAX_PROBLEMS;
  const listed = problems.slice(0, MAX_PROBLEMS);
  return more > 0 ? [...listed, { where: file, message: `and ${more} more ${noun}` }] : listed;
}

/** Quotes a wrong value of a file for a message, shortened if it is long. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const isNoJson = typeof value === 'bigint' || typeof value === 'symbol';
  const text = isNoJson ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
