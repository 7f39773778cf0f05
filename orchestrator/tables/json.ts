import { ConfigError } from '../base/errors';
import { readText } from './text';

/**
 * Reads JSON, with numbers as parseJson has them.
 *
 * @throws ConfigError if the file cannot be read or is not JSON
 */
export function readJson(path: string): unknown {
  const text = readText(path);
  try {
    return parseJson(text);
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not valid JSON: ${(error as Error).message}`,
    });
  }
}

/**
 * Parses JSON. Whole numbers beyond 2^53 become text with all their digits, and so does what is
 * beyond every number (1e400): as numbers, two ids of 18 digits would be one.
 *
 * @throws SyntaxError as JSON.parse does
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return /\d{16}|[eE]\+?\d{3}/.test(text) ? JSON.parse(quoteLargeNumbers(text)) : value;
}

const TOKEN = /"|-?\d[\d.eE+-]*/g;

/** Puts the numbers of valid JSON that would not stay apart in quotes, unless they are text. */
function quoteLargeNumbers(text: string): string {
  const parts: string[] = [];
  let copied = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match;
    if (token === '"') {
      TOKEN.lastIndex = endOfString(text, match.index + 1);
    } else if (isTooLarge(token)) {
      parts.push(text.slice(copied, match.index), `"${token}"`);
      copied = match.index + token.length;
    }
  }
  return parts.join('') + text.slice(copied);
}

function isTooLarge(token: string): boolean {
  const value = Number(token);
  return !Number.isFinite(value) || (/^-?\d+$/.test(token) && !Number.isSafeInteger(value));
}

/** The place after the quote that closes a string. */
function endOfString(text: string, from: number): number {
  let close = text.indexOf('"', from);
  while (isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close + 1;
}

/** Whether an odd number of backslashes stands before a place. */
function isEscaped(text: string, place: number): boolean {
  let begin = place;
  while (text[begin - 1] === '\\') begin--;
  return (place - begin) % 2 === 1;
}
