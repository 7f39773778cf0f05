/**
 * Numbers from keyed streams, converted like PyTorch's CPU generator, so that both trainers draw
 * the same random masks, and the same initial weights except for the last bits of a logarithm and a
 * cosine.
 */
import type { Random } from '../host/random';

/** Uniform in [0, 1), a multiple of 2⁻²⁴. */
const uniform = (random: Random): number => (random.uint32() & 0xffffff) / 2 ** 24;

/** n numbers uniform in [from, to). */
export function uniforms(n: number, from: number, to: number, random: Random): Float32Array {
  // Rounded like PyTorch: the width to float32, then product and sum together.
  const width = Math.fround(Math.fround(to) - Math.fround(from));
  return Float32Array.from({ length: n }, () => uniform(random) * width + Math.fround(from));
}

/** How many uniform numbers are turned into as many normal ones at once. */
const BLOCK = 16;

/** n numbers N(0, std²) (Box & Muller 1958). */
export function normals(n: number, std: number, random: Random): Float32Array {
  if (n < BLOCK) return fewNormals(n, std, random);
  const values = Float32Array.from({ length: n }, () => uniform(random));
  const whole = n - (n % BLOCK);
  for (let at = 0; at < whole; at += BLOCK) transformBlock(values.subarray(at, at + BLOCK), std);
  if (whole < n) {
    // The last block overlaps the previous one and is redrawn.
    const last = values.subarray(n - BLOCK);
    for (let i = 0; i < BLOCK; i++) last[i] = uniform(random);
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

/** In pairs, from float64 numbers of 53 random bits each. */
function fewNormals(n: number, std: number, random: Random): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const angle = 2 * Math.PI * uniform53(random);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(random)));
    values[i] = radius * Math.cos(angle) * std;
    if (i + 1 < n) values[i + 1] = radius * Math.sin(angle) * std;
  }
  return values;
}

/** Uniform in [0, 1), from two words, the high one first. */
function uniform53(random: Random): number {
  const high = BigInt(random.uint32());
  const low = BigInt(random.uint32());
  return Number(((high << 32n) | low) & ((1n << 53n) - 1n)) / 2 ** 53;
}
