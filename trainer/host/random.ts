/**
 * Random streams keyed by purpose. Each draw has its own generator, seeded from (trial seed,
 * purpose), so no generator's state needs to be in a checkpoint, and no trial's numbers depend on a
 * neighbour's.
 */
import { createHash } from 'node:crypto';

/** A 63-bit key: the first bits of the SHA-256 of the seed and the purpose's parts. */
export function key(seed: number, ...purpose: (string | number)[]): bigint {
  const digest = createHash('sha256')
    .update([seed, ...purpose].join('/'))
    .digest();
  return digest.readBigUInt64BE(0) >> 1n;
}

const STATE_WORDS = 624;
const SHIFT_WORDS = 397;

/**
 * MT19937 (Matsumoto & Nishimura 1998), seeded with a key's low 32 bits, like PyTorch's CPU
 * generator.
 */
export class Random {
  private readonly state = new Uint32Array(STATE_WORDS);
  private next = STATE_WORDS;

  constructor(seed: bigint) {
    this.state[0] = Number(seed & 0xffffffffn);
    for (let i = 1; i < STATE_WORDS; i++) {
      const before = this.state[i - 1]!;
      this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /** The next number: an integer in [0, 2³²). */
  uint32(): number {
    if (this.next === STATE_WORDS) this.twist();
    let y = this.state[this.next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A number in [0, 1), a multiple of 2⁻³². */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < STATE_WORDS; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % STATE_WORDS]! & 0x7fffffff);
      state[i] = state[(i + SHIFT_WORDS) % STATE_WORDS]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/** A fresh generator for one purpose of one trial. */
export const randomFor = (seed: number, ...purpose: (string | number)[]): Random =>
  new Random(key(seed, ...purpose));

/** The permutation of 0 … n − 1 that PyTorch's randperm draws from the same key; n < 2³². */
export function permutation(n: number, seed: number, ...purpose: (string | number)[]): Int32Array {
  const random = randomFor(seed, ...purpose);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (random.uint32() % (n - i));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
