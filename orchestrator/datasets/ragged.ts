import type { Tensor } from './safetensors';

/**
 * Offsets of rows that are stored as one sequence: row i is values[offsets[i]:offsets[i + 1]].
 */
export function makeOffsets(lengths: readonly number[]): Tensor<BigInt64Array> {
  const offsets = new BigInt64Array(lengths.length + 1);
  for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + BigInt(length);
  return { shape: [offsets.length], data: offsets };
}

/** Joins rows of different lengths into int32 [values]. */
export function joinRows(rows: readonly (readonly number[])[]): Tensor<Int32Array> {
  const data = Int32Array.from(rows.flat());
  return { shape: [data.length], data };
}

/**
 * The tensors of every tokenized split, whatever its task: input_ids, offsets and token_type_ids as
 * Dataset in job.proto says. Also counts the tokens, in total and in the longest row.
 */
export function makeTokenTensors(rows: readonly { ids: number[]; typeIds: number[] }[]) {
  const lengths = rows.map(({ ids }) => ids.length);
  const inputIds = joinRows(rows.map(({ ids }) => ids));
  const typeIds = Uint8Array.from(rows.flatMap((row) => row.typeIds));
  const tensors: Record<string, Tensor> = {
    input_ids: inputIds,
    offsets: makeOffsets(lengths),
    token_type_ids: { shape: [typeIds.length], data: typeIds },
  };
  return {
    tensors,
    tokens: inputIds.data.length,
    longest: lengths.reduce((longest, length) => Math.max(longest, length), 0),
  };
}
