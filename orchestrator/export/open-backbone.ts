/** The backbone that a trial was trained on, for exports that need its weights or config.json. */
import { existsSync, openSync, readSync, closeSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Tensor } from '../../common/safetensors';
import { UserError } from '../base/errors';
import { describeBackbone } from '../runtime/backbone-files';
import { listWeightFiles } from '../runtime/backbone-weights';
import { DEFAULT_BACKBONE } from '../runtime/backbone';
import { cacheDirectory } from '../runtime/paths';
import { readHeader, type TensorHeader } from '../runtime/safetensors-header';
import type { PlannedBackbone } from '../sweep/types';

/** The hub's own id of the default backbone. */
const DEFAULT_HUB_ID = `sentence-transformers/${DEFAULT_BACKBONE}`;

/** Its hub id or, if it is a directory of the user's own, its path. */
export function backboneId({ name, path }: PlannedBackbone): string {
  if (name === DEFAULT_BACKBONE) return DEFAULT_HUB_ID;
  return path.startsWith(join(cacheDirectory(), 'hub')) ? name : path;
}

interface Place {
  file: string;
  header: TensorHeader;
  /** Where its bytes begin in the file. */
  begin: number;
}

export class OpenBackbone {
  private constructor(
    readonly folder: string,
    /** What config.json says. */
    readonly config: Readonly<Record<string, unknown>>,
    private readonly places: ReadonlyMap<string, Place>,
  ) {}

  /** @throws UserError (exit 2) if it is missing, or not what the trial was trained on */
  static async open({ name, path, digest }: PlannedBackbone): Promise<OpenBackbone> {
    if (!existsSync(join(path, 'config.json')))
      throw new UserError(
        `backbone ${name} is missing: ${path} has no config.json`,
        2,
        'Put it back where it was, or export to a format that needs no backbone: safetensors.',
      );
    const found = await describeBackbone(name, path);
    if (found.digest !== digest)
      throw new UserError(
        `${path} is not the backbone that the trial was trained on: its digest begins with ` +
          `${found.digest.slice(0, 8)}, that of the trial's with ${digest.slice(0, 8)}`,
        2,
      );
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object;
    const places = new Map<string, Place>();
    for (const each of listWeightFiles(path)) {
      const file = join(path, each);
      const begin = 8 + Number(readBytes(file, 0, 8).readBigUInt64LE());
      for (const [tensor, header] of readHeader(file)) places.set(tensor, { file, header, begin });
    }
    return new OpenBackbone(path, { ...config }, places);
  }

  get names(): string[] {
    return [...this.places.keys()];
  }

  shapeOf(name: string): number[] {
    return this.locate(name).header.shape;
  }

  /** Whether a tensor's values are floating-point numbers. */
  isFloat(name: string): boolean {
    return Object.hasOwn(READERS, this.locate(name).header.dtype);
  }

  /** A tensor in float32. */
  read(name: string): Tensor<Float32Array> {
    const { file, header, begin } = this.locate(name);
    const [from, to] = header.data_offsets;
    const bytes = readBytes(file, begin + from, to - from);
    return { shape: header.shape, data: READERS[header.dtype]!(bytes) };
  }

  /**
   * Weight and bias of a norm, whichever of their names the files have.
   *
   * @param prefix what the module's name begins with in models that have a head
   */
  readNorm(
    module: string,
    prefix: string,
  ): { weight: Tensor<Float32Array>; bias: Tensor<Float32Array> } {
    const modules = [module, module.slice(prefix.length)];
    const read = (...parts: string[]) => {
      const names = modules.flatMap((each) => parts.map((part) => `${each}.${part}`));
      return this.read(names.find((name) => this.places.has(name)) ?? names[0]!);
    };
    return { weight: read('weight', 'gamma'), bias: read('bias', 'beta') };
  }

  private locate(name: string): Place {
    const place = this.places.get(name);
    if (place === undefined)
      throw new UserError(`${basename(this.folder)} has no tensor ${name}`, 2);
    return place;
  }
}

function readBytes(file: string, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync(file, 'r');
  try {
    for (let read = 0; read < length;) {
      const count = readSync(descriptor, bytes, read, length - read, from + read);
      if (count === 0) throw new UserError(`${file} is incomplete`, 2);
      read += count;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

/** Values in float32, by the types in which weights can be stored. */
const READERS: Readonly<Record<string, (bytes: Buffer) => Float32Array>> = {
  F64: (bytes) => Float32Array.from(new Float64Array(aligned(bytes))),
  F32: (bytes) => new Float32Array(aligned(bytes)),
  F16: (bytes) => Float32Array.from(new Uint16Array(aligned(bytes)), readHalf),
  BF16: (bytes) => {
    const bits = Uint32Array.from(new Uint16Array(aligned(bytes)), (half) => half << 16);
    return new Float32Array(bits.buffer);
  },
};

/** The bytes in a buffer of their own, because typed arrays need aligned ones. */
function aligned(bytes: Buffer): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}

/** The number that 16 bits mean in IEEE 754's half precision. */
export function readHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
