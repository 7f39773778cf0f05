/** What a safetensors file says of its tensors, without reading them. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isLfsPointer, LFS_POINTER } from '../../common/git-lfs';
import { elements } from '../../common/safetensors';
import { UserError } from '../base/errors';

export interface TensorHeader {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The types in which weights can be stored, with the bytes of each value. */
const FLOATS: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

/** Whether a tensor's values are floating-point numbers that are not quantized. */
export const isFloat = ({ dtype }: TensorHeader): boolean => Object.hasOwn(FLOATS, dtype);

/** The reference implementation refuses larger headers. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Reads the header of a file: 8 bytes of length, then JSON. Checks that the file has every byte of
 * its tensors.
 *
 * @throws UserError (exit 2) that names the file, and the tensor that does not fit
 */
export function readHeader(file: string): Map<string, TensorHeader> {
  const refuse = (message: string) => new UserError(`${file} ${message}`, 2);
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const read = (length: number, from: number) => {
      const bytes = Buffer.alloc(length);
      readSync(descriptor, bytes, 0, length, from);
      return bytes;
    };
    if (size === 0) throw refuse('is empty');
    if (isLfsPointer(read(Math.min(size, 64), 0))) throw refuse(LFS_POINTER);
    const length = size < 8 ? 0 : Number(read(8, 0).readBigUInt64LE());
    if (length < 2 || length > Math.min(MAX_HEADER_BYTES, size - 8))
      throw refuse('is incomplete or not a safetensors file');
    const tensors = parseTensors(read(length, 8).toString('utf8'));
    if (tensors === undefined) throw refuse('is not a safetensors file: its header is no JSON');
    const wrong = findMisfit(tensors, size - 8 - length);
    if (wrong !== undefined) throw refuse(wrong);
    return tensors;
  } finally {
    closeSync(descriptor);
  }
}

function parseTensors(header: string): Map<string, TensorHeader> | undefined {
  try {
    const all = JSON.parse(header) as Record<string, TensorHeader>;
    return new Map(Object.entries(all).filter(([name]) => name !== '__metadata__'));
  } catch {
    return undefined;
  }
}

/** What is wrong with a file whose tensors have so many bytes; undefined if nothing is. */
function findMisfit(tensors: Map<string, TensorHeader>, bytes: number): string | undefined {
  let end = 0;
  for (const [name, tensor] of tensors) {
    const { dtype, shape, data_offsets: offsets } = tensor;
    if (typeof dtype !== 'string' || !areCounts(shape) || !areCounts(offsets))
      return `is not a safetensors file: tensor ${name} has no dtype, shape and data_offsets`;
    const [from, to] = offsets;
    if (isFloat(tensor) && to - from !== elements(shape) * FLOATS[dtype]!)
      return `is broken: tensor ${name} of shape [${shape.join(', ')}] has ${to - from} bytes`;
    end = Math.max(end, to);
    if (to > bytes)
      return `is incomplete: tensor ${name} ends at byte ${to} of ${bytes}; copy it again`;
  }
  return end < bytes ? `is broken: ${bytes - end} bytes at its end belong to no tensor` : undefined;
}

const areCounts = (values: unknown): values is number[] =>
  Array.isArray(values) && values.every((value) => Number.isSafeInteger(value) && value >= 0);
