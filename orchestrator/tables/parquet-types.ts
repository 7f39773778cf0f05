/** The types of parquet columns, and decimals, which have no counterpart in JavaScript. */
import type { SchemaElement, SchemaTree } from 'hyparquet';

/** Says what a column holds if that is neither text nor numbers nor true and false; else null. */
export function nameUnreadableType({ element, children }: SchemaTree): string | null {
  if (element.repetition_type === 'REPEATED' || children.length > 0) {
    return `is nested (it holds ${nameNested(element)})`;
  }
  const word = element.logical_type?.type ?? element.converted_type ?? element.type ?? '';
  const found = Object.entries(UNREADABLE).find(([type]) => word.startsWith(type));
  if (found !== undefined) return `holds ${found[1]}`;
  const isBytes = element.type === 'FIXED_LEN_BYTE_ARRAY';
  return isBytes && !NAMED_BYTES.some((type) => word === type) ? 'holds bytes' : null;
}

/** The beginnings of the names of types, old and new. */
const UNREADABLE: Readonly<Record<string, string>> = {
  TIMESTAMP: 'points in time',
  INT96: 'points in time',
  TIME: 'times of day',
  DATE: 'dates',
  INTERVAL: 'intervals',
  BSON: 'BSON',
  VARIANT: 'variants',
  GEO: 'places on a map',
};

const NAMED_BYTES = ['DECIMAL', 'UUID', 'FLOAT16'];

function nameNested({ logical_type, converted_type, repetition_type }: SchemaElement): string {
  const type = logical_type?.type ?? converted_type;
  if (type === 'LIST' || repetition_type === 'REPEATED') return 'lists';
  return type?.startsWith('MAP') ? 'maps' : 'structs';
}

/**
 * A decimal of the stored whole number and the number of its digits after the point: a number if
 * it has all the digits, else text. Zeros at the end do not count: 1.50 and 1.5 are equal.
 */
export function readDecimal(stored: number | bigint | Uint8Array, scale: number): number | string {
  const whole = stored instanceof Uint8Array ? bigEndian(stored) : BigInt(stored);
  const digits = String(whole < 0n ? -whole : whole).padStart(scale + 1, '0');
  const [before, after] = [
    digits.slice(0, digits.length - scale),
    digits.slice(digits.length - scale).replace(/0+$/, ''),
  ];
  const text = `${whole < 0n ? '-' : ''}${before}${after === '' ? '' : `.${after}`}`;
  return String(Number(text)) === text ? Number(text) : text;
}

/** Two's complement, the highest byte first. */
function bigEndian(bytes: Uint8Array): bigint {
  const value = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return BigInt.asIntN(8 * bytes.length, value);
}
