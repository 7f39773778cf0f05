import { readFile } from 'node:fs/promises';
import { ConfigError } from '../base/errors';

/**
 * A file's JSON, or null if there is no such file. Files are written whole, so a broken one is an
 * error: a ConfigError that names it.
 */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readIfThere(path);
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    const message = `is not complete JSON (${(error as Error).message}); remove it to go on`;
    throw new ConfigError({ where: path, message });
  }
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
