import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isLfsPointer, LFS_POINTER } from '../../common/git-lfs';
import { ConfigError } from '../base/errors';
import { cannotRead } from './text';

const MAGIC = 'PAR1';

/**
 * Checks that a file begins and ends as parquet files do.
 *
 * @throws ConfigError that says what it is instead: empty, cut off, encrypted, text
 */
export function checkIsParquet(path: string): void {
  const { size, first, last } = readEnds(path);
  const problem = describeOther(size, first, last.toString('latin1'));
  if (problem !== null) throw new ConfigError({ where: path, message: problem });
}

function describeOther(size: number, first: Buffer, last: string): string | null {
  if (size === 0) return 'is empty; must be a parquet file';
  if (isLfsPointer(first)) return LFS_POINTER;
  const beginning = first.toString('latin1', 0, 4);
  if (beginning === 'PARE' || last === 'PARE') return 'is encrypted; write it without encryption';
  if (beginning !== MAGIC) {
    const shown = JSON.stringify(first.toString('utf8', 0, 20));
    return (
      `is not a parquet file: it begins with ${shown}; ` +
      'its name must end in what it is, for example .csv'
    );
  }
  if (last !== MAGIC || size < 12) return 'is incomplete, its end is missing; copy it again';
  return null;
}

function readEnds(path: string): { size: number; first: Buffer; last: Buffer } {
  try {
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      const read = (length: number, position: number) => {
        const bytes = Buffer.alloc(Math.min(length, size));
        readSync(descriptor, bytes, 0, bytes.length, Math.max(0, position));
        return bytes;
      };
      return { size, first: read(64, 0), last: read(4, size - 4) };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw cannotRead(path, error);
  }
}
