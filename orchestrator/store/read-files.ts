import { readFile } from 'node:fs/promises';

/**
 * A file's JSON, or null if there is no such file. Files are written whole, so a broken one is an
 * error.
 */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readIfThere(path);
  return text === undefined ? null : (JSON.parse(text) as T);
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
