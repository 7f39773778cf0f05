import type { z } from 'zod';
import { suggestion } from '../base/suggest';
import { isMap } from './schema-parts';

type Path = readonly PropertyKey[];

/** What is wrong with the value at a path of a document. */
export interface DocumentProblem {
  path: Path;
  /** One sentence, with the path and the value. */
  message: string;
}

/**
 * Describes the schema's issues: each with its path, the value and what is allowed, and a misspelt
 * key with the nearest allowed one.
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
      ? issue.message.slice('one of '.length).split('; ')[0]!.split(', ')
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
 * The schema sees a list of one where the user wrote a single value, and a map where the user wrote
 * a name, so a path is cut where the document ends.
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

/** `compare[1].sparsity`; `the file` for the whole document. */
export function formatPath(path: Path): string {
  const text = path.reduce<string>(
    (prefix, key) => `${prefix}${typeof key === 'number' ? `[${key}]` : `.${String(key)}`}`,
    '',
  );
  return text === '' ? 'the file' : text.replace(/^\./, '');
}

function formatValue(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
