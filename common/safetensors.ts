/**
 * The safetensors format (huggingface/safetensors): 8 bytes little-endian header length, a JSON
 * header {name: {dtype, shape, data_offsets}}, then the tensors' bytes without gaps. Nothing in a
 * file is executed, and every length is checked before it is used.
 */
export type TensorData = Uint8Array | Int32Array | BigInt64Array | Float32Array;

export interface Tensor<Data extends TensorData = TensorData> {
  shape: number[];
  /** Row-major. */
  data: Data;
}

/** The data types that this project's files use. */
const DTYPES = {
  U8: { bytes: 1, view: (buffer: ArrayBuffer) => new Uint8Array(buffer) },
  I32: { bytes: 4, view: (buffer: ArrayBuffer) => new Int32Array(buffer) },
  I64: { bytes: 8, view: (buffer: ArrayBuffer) => new BigInt64Array(buffer) },
  F32: { bytes: 4, view: (buffer: ArrayBuffer) => new Float32Array(buffer) },
} as const;
type Dtype = keyof typeof DTYPES;

/** The reference implementation refuses larger headers. */
const MAX_HEADER_BYTES = 100_000_000;

interface HeaderEntry {
  dtype: Dtype;
  shape: number[];
  data_offsets: [number, number];
}

interface Header {
  __metadata__?: Record<string, string>;
  [name: string]: HeaderEntry | Record<string, string> | undefined;
}

/**
 * Encodes tensors as the bytes of a file. Wider types come first and the header is padded, so that
 * every tensor is aligned in a memory-mapped file.
 */
export function encodeSafetensors(
  tensors: Record<string, Tensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const entries = Object.entries(tensors).sort(
    ([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT,
  );
  const header: Record<string, unknown> =
    Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { shape, data }] of entries) {
    if (elements(shape) !== data.length) {
      throw new RangeError(
        `tensor ${name} has shape [${shape.join(', ')}] and ${data.length} values`,
      );
    }
    header[name] = {
      dtype: findDtype(data),
      shape,
      data_offsets: [offset, offset + data.byteLength],
    };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = Buffer.alloc(8 + headerBytes + offset, ' ');
  file.writeBigUInt64LE(BigInt(headerBytes));
  json.copy(file, 8);
  let position = 8 + headerBytes;
  for (const [, { data }] of entries) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

/** Decodes the tensors in a file's bytes; throws a RangeError that says what does not fit. */
export function decodeSafetensors(file: Buffer): Map<string, Tensor> {
  const { header, begin } = readHeader(file);
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') {
      tensors.set(name, decodeTensor(name, entry as HeaderEntry, file.subarray(begin)));
    }
  }
  return tensors;
}

/**
 * Decodes the metadata in a file's bytes; empty if there is none. Throws a RangeError or a
 * SyntaxError if the header is broken.
 */
export function decodeMetadata(file: Buffer): Record<string, string> {
  return readHeader(file).header.__metadata__ ?? {};
}

function readHeader(file: Buffer): { header: Header; begin: number } {
  const headerBytes = file.length < 8 ? -1 : Number(file.readBigUInt64LE(0));
  if (headerBytes < 2 || headerBytes > Math.min(MAX_HEADER_BYTES, file.length - 8)) {
    throw new RangeError(`${file.length} bytes cannot hold its header`);
  }
  const begin = 8 + headerBytes;
  return { header: JSON.parse(file.toString('utf8', 8, begin)) as Header, begin };
}

function decodeTensor(name: string, entry: HeaderEntry, body: Buffer): Tensor {
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!Object.hasOwn(DTYPES, dtype)) {
    throw new RangeError(
      `tensor ${name} has type ${String(dtype)}; ${Object.keys(DTYPES).join(', ')} can be read`,
    );
  }
  const { bytes, view } = DTYPES[dtype];
  const [from, to] = offsets;
  if (
    !shape.every((size) => Number.isSafeInteger(size) && size >= 0) ||
    to - from !== elements(shape) * bytes
  ) {
    throw new RangeError(
      `tensor ${name} of shape [${shape.join(', ')}] does not fit its offsets ${from} to ${to}`,
    );
  }
  if (!(from >= 0 && to <= body.length)) {
    throw new RangeError(`tensor ${name} ends at byte ${to} of ${body.length}`);
  }
  // A copy in a new buffer, because typed arrays need aligned bytes, which files of other programs
  // may not have.
  const copy = new ArrayBuffer(to - from);
  new Uint8Array(copy).set(body.subarray(from, to));
  return { shape, data: view(copy) };
}

/** The tensor of that name and type; throws a RangeError that says what there is instead. */
export function float32Tensor(tensors: Map<string, Tensor>, name: string): Tensor<Float32Array> {
  const tensor = tensors.get(name);
  if (!(tensor?.data instanceof Float32Array)) {
    const found =
      tensor === undefined
        ? `there are ${[...tensors.keys()].join(', ') || 'none'}`
        : `it is ${findDtype(tensor.data)}`;
    throw new RangeError(`has no float32 tensor ${name}; ${found}`);
  }
  return { shape: tensor.shape, data: tensor.data };
}

function findDtype(data: TensorData): Dtype {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  return data instanceof BigInt64Array ? 'I64' : 'U8';
}

/** The number of values in a tensor of this shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
