import { readFile } from 'node:fs/promises';
import { parseObject } from '../base/parse-object';

/**
 * A file's JSON object, or null if there is no such file. Files are written whole, so a broken one
 * is an error: a ConfigError that names it.
 */
export async function readJson<T extends object>(path: string): Promise<T | null> {
  const text = await readIfThere(path);
  return text === undefined ? null : parseObject<T>(path, text);
}

/** A file's text; undefined if there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
