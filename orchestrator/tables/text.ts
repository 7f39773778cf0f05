/** Reads text files, which must be UTF-8: other encodings would be misread. */
import { constants, isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { findOddity, NO_FILE } from '../../common/files';
import { isLfsPointer, LFS_POINTER } from '../../common/git-lfs';
import { explainRefusal, isSystemError } from '../../common/system-errors';
import { ConfigError } from '../base/errors';

/**
 * A file's text without its byte-order mark.
 *
 * @throws ConfigError that names the file if it cannot be read, and the line if that is not UTF-8
 */
export function readText(path: string): string {
  const content = readBytes(path);
  if (isLfsPointer(content)) throw new ConfigError({ where: path, message: LFS_POINTER });
  const other = OTHER_FORMATS.find(({ bytes }) => content.indexOf(bytes) === 0);
  if (other !== undefined) {
    throw new ConfigError({ where: path, message: `is ${other.name}; must be a text file` });
  }
  const isUtf16 = looksLikeUtf16(content);
  if (isUtf16 || !isUtf8(content)) {
    const found = isUtf16 ? ' (it is UTF-16)' : '';
    throw new ConfigError({
      where: `${path}:${isUtf16 ? 1 : findWrongLine(content)}`,
      message: `is not UTF-8; save the file as UTF-8${found}`,
    });
  }
  return content.toString('utf8').replace(/^\uFEFF/, '');
}

/**
 * A file's lines. They end only in \n or \r\n, because texts contain other characters that look
 * like line ends (U+0085, U+2028).
 *
 * @throws ConfigError as readText does, and if all lines end in \r alone
 */
export function readLines(path: string): string[] {
  const text = readText(path);
  refuseLoneReturns(path, text);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/\r$/, ''));
}

export const LONE_RETURNS =
  'its lines end in a carriage return alone (CR), as on old Macs; ' +
  'save the file with line ends LF or CRLF';

/** @throws ConfigError if all lines of a text end in \r alone */
export function refuseLoneReturns(path: string, text: string): void {
  if (!text.includes('\r') || text.includes('\n')) return;
  throw new ConfigError({ where: `${path}:1`, message: LONE_RETURNS });
}

/** The error for a file that the system does not let us read. */
export function cannotRead(path: string, error: unknown): ConfigError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new ConfigError({ where: path, message: NO_FILE });
  const why = isSystemError(error) ? explainRefusal(error, path) : message;
  return new ConfigError({ where: path, message: `cannot be read: ${why}` });
}

/** What people save under the name of a text file, by its first bytes. */
const OTHER_FORMATS = [
  { bytes: Buffer.from([0x1f, 0x8b]), name: 'compressed (gzip)' },
  { bytes: Buffer.from('PK\x03\x04'), name: 'a zip archive or an Excel file' },
  { bytes: Buffer.from('PAR1'), name: 'a parquet file' },
];

const BYTE_ORDER_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** Without a byte-order mark, UTF-16 in Latin letters is UTF-8, too: every other byte is 0. */
function looksLikeUtf16(content: Buffer): boolean {
  if (BYTE_ORDER_MARKS.some((mark) => content.indexOf(mark) === 0)) return true;
  const beginning = content.subarray(0, 1000);
  return beginning.filter((byte) => byte === 0).length > beginning.length / 3;
}

/** The first line that is not UTF-8, from 1. */
function findWrongLine(content: Buffer): number {
  let [begin, number] = [0, 1];
  for (
    let end = content.indexOf(10);
    end !== -1 && isUtf8(content.subarray(begin, end));
    end = content.indexOf(10, begin)
  ) {
    [begin, number] = [end + 1, number + 1];
  }
  return number;
}

function readBytes(path: string): Buffer {
  try {
    const oddity = findOddity(path);
    if (oddity !== undefined) throw new ConfigError({ where: path, message: oddity });
    const { size } = statSync(path);
    // The limit of a JavaScript string; the whole CNN/DailyMail as CSV exceeds it.
    if (size > constants.MAX_STRING_LENGTH) {
      const most = Math.floor(constants.MAX_STRING_LENGTH / 1e6);
      throw new Error(
        `${Math.ceil(size / 1e6)} MB, but a text file may have at most ${most} MB; ` +
          'use a .parquet file instead',
      );
    }
    return readFileSync(path);
  } catch (error) {
    throw error instanceof ConfigError ? error : cannotRead(path, error);
  }
}
