/** Reads columns of parquet files, with every codec and type that common writers use by default. */
import type { FileMetaData, SchemaElement, SchemaTree } from 'hyparquet';
import { ConfigError } from '../base/errors';
import { checkColumns } from './columns';
import { checkIsParquet } from './parquet-file';
import { nameUnreadableType, readDecimal } from './parquet-types';

/** A cell whose bytes are not UTF-8. */
export const NOT_UTF8 = Symbol('not UTF-8');

/**
 * Reads some columns, each with one value per row: text, a number, a bigint, true or false, null
 * for an empty cell and for NaN, or NOT_UTF8. Decimals that a number cannot hold are text.
 *
 * @param nested of these, the columns that may hold lists and structs
 * @param optional columns that the file need not have, after the others; without values if it has
 *   none
 * @throws ConfigError that names the file, and the column if it is one that cannot be read
 */
export async function readParquetColumns(
  path: string,
  wanted: readonly string[],
  { nested = [], optional = [] }: { nested?: readonly string[]; optional?: readonly string[] } = {},
): Promise<unknown[][]> {
  checkIsParquet(path);
  const { asyncBufferFromFile, parquetMetadataAsync, parquetSchema } = await import('hyparquet');
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file, { parsers: { stringFromBytes } }).catch(
    (error: Error) => {
      throw broken(path, error.message);
    },
  );
  const { children } = parquetSchema(metadata);
  checkColumns(
    path,
    children.map(({ element }) => element.name),
    wanted,
  );
  const columns: unknown[][] = [];
  for (const name of [...wanted, ...optional]) {
    const column = children.find(({ element }) => element.name === name);
    if (column === undefined) {
      columns.push([]);
      continue;
    }
    const unreadable = nested.includes(name) ? null : nameUnreadableType(column);
    if (unreadable !== null) {
      const right = 'must hold text, numbers, or true and false';
      throw new ConfigError({ where: path, message: `column "${name}" ${unreadable}; ${right}` });
    }
    columns.push(await readColumn(path, file, metadata, column));
  }
  return columns;
}

async function readColumn(
  path: string,
  file: Awaited<ReturnType<typeof import('hyparquet').asyncBufferFromFile>>,
  metadata: FileMetaData,
  { element }: SchemaTree,
): Promise<unknown[]> {
  const { parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const { name, scale = 0, logical_type } = element;
  const isDecimal = element.converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL';
  // Without a meaning they are read as they are stored; the library would round them.
  const plain: SchemaElement = { ...element, converted_type: undefined, logical_type: undefined };
  const schema = isDecimal
    ? metadata.schema.map((each) => (each === element ? plain : each))
    : metadata.schema;
  let values: unknown[];
  try {
    const rows = await parquetReadObjects({
      file,
      metadata: { ...metadata, schema },
      columns: [name],
      compressors,
      utf8: !isDecimal,
      parsers: { stringFromBytes, jsonFromBytes: stringFromBytes },
    });
    values = rows.map((row) => row[name] as unknown);
  } catch (error) {
    throw broken(path, `column "${name}": ${(error as Error).message}`);
  }
  if (values.length !== Number(metadata.num_rows)) {
    throw broken(path, `column "${name}" has ${values.length} of ${metadata.num_rows} rows`);
  }
  return values.map((value) => {
    if (value === undefined || value === null || Number.isNaN(value)) return null;
    return isDecimal ? readDecimal(value as number | bigint | Uint8Array, scale) : value;
  });
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Keeps a leading U+FEFF, which belongs to the text. */
function stringFromBytes(bytes: Uint8Array | undefined): string | typeof NOT_UTF8 | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return NOT_UTF8;
  }
}

function broken(path: string, reason: string): ConfigError {
  return new ConfigError({
    where: path,
    message: `is not a readable parquet file: ${reason}; it may be damaged, so write it again`,
  });
}
