import { readFileSync } from 'node:fs';
import { ConfigError } from '../base/errors';

/**
 * Reads the rows of a parquet file, with all columns.
 *
 * @throws ConfigError if the file cannot be read
 */
export async function readParquetObjects(path: string): Promise<Record<string, unknown>[]> {
  const { parquetReadObjects } = await import('hyparquet');
  try {
    const file = readFileSync(path);
    return await parquetReadObjects({
      file: file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength),
    });
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not a readable parquet file: ${(error as Error).message}`,
    });
  }
}
