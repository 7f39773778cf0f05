import type { z } from 'zod';
import { suggestion } from '../base/suggest';

type Path = readonly PropertyKey[];

/** A problem of a value at a path of a document. */
export interface DocumentProblem {
  path: Path;
  /** In one sentence, with the path and the value. */
  message: string;
}

/**
 * Says what the schema found, each problem with its path, the value and what is allowed; a misspelt
 * key with the one it is near to.
 */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  document: unknown,
): DocumentProblem[] {
  return issues.flatMap((issue) => {
    const path = asWritten(issue.path, document);
    if (issue.code === 'unrecognized_keys') {
      const allowed = issue.message.split(', ');
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `${formatPath([...path, key])} ${unknownKey(key, allowed)}`,
      }));
    }
    const value = valueAt(path, document);
    if (value === undefined && issue.code === 'custom') {
      return [
        { path: path.slice(0, -1), message: `${formatPath(path)}: must be ${issue.message}` },
      ];
    }
    if (value === undefined) {
      return [
        {
          path: path.slice(0, -1),
          message: `${formatPath(path)}: is missing; must be ${issue.message}`,
        },
      ];
    }
    const words = issue.message.startsWith('one of ')
      ? issue.message.slice('one of '.length).split(', ')
      : [];
    const near = typeof value === 'string' ? suggestion(value, words) : '';
    return [
      {
        path,
        message:
          `${formatPath(path)}: ${formatValue(value)} is not allowed; ` +
          `must be ${issue.message}${near}`,
      },
    ];
  });
}

function unknownKey(key: string, allowed: readonly string[]): string {
  return `is not a key here${suggestion(key, allowed)} (allowed: ${allowed.join(', ')})`;
}

/**
 * The schema sees lists of one where the user wrote a value, and maps where the user wrote a name:
 * cut the path where the document ends.
 */
function asWritten(path: Path, document: unknown): Path {
  const written: PropertyKey[] = [];
  let value = document;
  for (const key of path) {
    if (Array.isArray(value) ? typeof key === 'number' : isMap(value) && typeof key !== 'number') {
      value = (value as Record<PropertyKey, unknown>)[key];
      written.push(key);
    } else if (typeof key !== 'number' || value === undefined) {
      break;
    }
  }
  return written;
}

function valueAt(path: Path, document: unknown): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    document,
  );
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `compare[1].sparsity`; the whole document is `the file`. */
export function formatPath(path: Path): string {
  const text = path.reduce<string>(
    (prefix, key) => `${prefix}${typeof key === 'number' ? `[${key}]` : `.${String(key)}`}`,
    '',
  );
  return text === '' ? 'the whole' : text.replace(/^\./, '');
}

function formatValue(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
