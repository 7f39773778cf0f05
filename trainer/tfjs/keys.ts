/**
 * Random streams keyed by what they are for: each draw has a generator of its own, seeded from (trial seed, purpose). So nothing about randomness
 * is in a checkpoint, and no trial's numbers depend on a neighbour's.
 *
 * The streams are those of the torch trainer on a CPU: MT19937 (Matsumoto & Nishimura 1998) seeded with the key's low 32 bits, and the conversions
 * of PyTorch's CPU generator to floats, permutations and normal numbers. So both trainers draw the same masks, orders of rows and ties, and the same
 * first weights but for the last bit of a logarithm or cosine.
 */
import { createHash } from 'node:crypto';

/** A 63-bit key: the first bits of SHA-256 over the seed and the purpose's parts. */
export function key(seed: number, ...purpose: (string | number)[]): bigint {
  const digest = createHash('sha256').update([seed, ...purpose].join('/')).digest();
  return digest.readBigUInt64BE() >> 1n;
}

const STATE = 624;
const SHIFT = 397;

/** MT19937: 32-bit words. */
export class Generator {
  private readonly state = new Uint32Array(STATE);
  private place = STATE;

  constructor(seed: number) {
    this.state[0] = seed;
    for (let i = 1; i < STATE; i++) {
      const before = this.state[i - 1]! ^ (this.state[i - 1]! >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
  }

  /** Uniform in [0, 2³²). */
  next(): number {
    if (this.place === STATE) this.twist();
    let y = this.state[this.place++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Uniform in [0, 1), a multiple of 2⁻²⁴. */
  uniform(): number {
    return (this.next() & 0xffffff) / 0x1000000;
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < STATE; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % STATE]! & 0x7fffffff);
      state[i] = state[(i + SHIFT) % STATE]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }
}

/** A fresh generator for one purpose of one trial. */
export function generator(seed: number, ...purpose: (string | number)[]): Generator {
  return new Generator(Number(key(seed, ...purpose) & 0xffffffffn));
}

/** A permutation of 0 … n − 1. */
export function permutation(n: number, seed: number, ...purpose: (string | number)[]): Int32Array {
  const random = generator(seed, ...purpose);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const other = i + (random.next() % (n - i));
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

/** n numbers uniform in [from, to). */
export function uniforms(n: number, from: number, to: number, random: Generator): Float32Array {
  // As PyTorch rounds: the width to float32, the product and the sum together.
  const width = Math.fround(Math.fround(to) - Math.fround(from));
  return Float32Array.from({ length: n }, () => random.uniform() * width + Math.fround(from));
}

/** How many normal numbers are made together from as many uniform ones. */
const BLOCK = 16;

/** n numbers N(0, std²) by Box & Muller. */
export function normals(n: number, std: number, random: Generator): Float32Array {
  if (n < BLOCK) return fewNormals(n, std, random);
  const values = Float32Array.from({ length: n }, () => random.uniform());
  const whole = n - (n % BLOCK);
  for (let at = 0; at < whole; at += BLOCK) transformBlock(values.subarray(at, at + BLOCK), std);
  if (whole < n) {
    // The last block overlaps the one before and is drawn anew.
    const last = values.subarray(n - BLOCK);
    for (let i = 0; i < BLOCK; i++) last[i] = random.uniform();
    transformBlock(last, std);
  }
  return values;
}

function transformBlock(block: Float32Array, std: number): void {
  const half = BLOCK / 2;
  for (let i = 0; i < half; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - block[i]!));
    const angle = 2 * Math.PI * block[i + half]!;
    block[i] = radius * Math.cos(angle) * std;
    block[i + half] = radius * Math.sin(angle) * std;
  }
}

/** One by one, in pairs of float64 from 53 random bits each. */
function fewNormals(n: number, std: number, random: Generator): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const angle = 2 * Math.PI * uniform53(random);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(random)));
    values[i] = radius * Math.cos(angle) * std;
    if (i + 1 < n) values[i + 1] = radius * Math.sin(angle) * std;
  }
  return values;
}

/** Uniform in [0, 1), from two words, the higher first. */
function uniform53(random: Generator): number {
  const high = BigInt(random.next());
  const low = BigInt(random.next());
  return Number(((high << 32n) | low) & ((1n << 53n) - 1n)) / 2 ** 53;
}
