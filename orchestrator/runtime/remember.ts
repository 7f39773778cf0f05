/** What is quicker to remember than to find out again, and is found out again if that fails. */
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { isSystemError } from '../../common/system-errors';
import { parseObject } from '../base/parse-object';

/** What was remembered in this file; undefined if there is nothing, or it cannot be read. */
export function recall<T extends object>(file: string): T | undefined {
  try {
    const text = readIfThere(file);
    return text === undefined ? undefined : parseObject<T>(file, text);
  } catch {
    return undefined;
  }
}

/** Remembers a value if the file can be written: a command that only looks needs no cache. */
export function remember(file: string, value: object): void {
  try {
    writeDurablySync(file, JSON.stringify(value));
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}
