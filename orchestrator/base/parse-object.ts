import { ConfigError } from './errors';

/**
 * The JSON object that a file of this program holds. Such files are written whole.
 *
 * @throws ConfigError that names the file if it holds something else
 */
export function parseObject<T extends object>(file: string, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw brokenFile(file, `is not complete JSON (${(error as Error).message})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw brokenFile(file, 'is not a JSON object');
  return value as T;
}

/** The error for a file that was changed by others, for example a power cut or an editor. */
export function brokenFile(file: string, what: string): ConfigError {
  return new ConfigError({ where: file, message: `${what}; remove it to go on` });
}
