/** Writes a safetensors file tensor by tensor, so that a large model is never in memory at once. */
import { elements, type Tensor } from '../../common/safetensors';

export interface TensorSource {
  name: string;
  shape: number[];
  read: () => Tensor<Float32Array>;
}

/** The file's parts. All tensors are float32. */
export async function* streamSafetensors(
  sources: readonly TensorSource[],
): AsyncGenerator<Uint8Array> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape } of sources) {
    const end = offset + 4 * elements(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);
  yield padded;
  for (const { read } of sources) {
    const { data } = read();
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // Between two large tensors others may run.
    await Promise.resolve();
  }
}
