import { ConfigError } from '../base/errors';
import { readText } from './table';

/** @throws ConfigError if the file cannot be read or is not JSON */
export function readJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not valid JSON: ${(error as Error).message}`,
    });
  }
}
