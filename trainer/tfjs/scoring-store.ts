/** What scores are made of, gradients and warmed-up heads, which later jobs may use again. */

/** By name. */
export type Tensors = Readonly<Record<string, Float32Array>>;

/**
 * Gradients of 25 roberta-base adapters (Houlsby 64: 9 MB), or of a hundred of MiniLM: the seeds of
 * a sweep, and little beside what training takes.
 */
const ROOM = 256 * 2 ** 20;

/**
 * Keeps up to `room` bytes; those that were used least recently go first. Nobody may change them.
 */
export class ScoringStore {
  private used = 0;
  /** Least recently used first. */
  private readonly kept = new Map<string, Tensors>();

  constructor(private readonly room = ROOM) {}

  find(key: string): Tensors | undefined {
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
    }
    return found;
  }

  /** key: says everything that determines them; has none so far. More than the room is not kept. */
  put(key: string, tensors: Tensors): void {
    if (sizeOf(tensors) > this.room) return;
    this.kept.set(key, tensors);
    this.used += sizeOf(tensors);
    for (const [oldest, gone] of this.kept) {
      if (this.used <= this.room) return;
      this.kept.delete(oldest);
      this.used -= sizeOf(gone);
    }
  }

  clear(): void {
    this.kept.clear();
    this.used = 0;
  }
}

/** Bytes. */
function sizeOf(tensors: Tensors): number {
  return Object.values(tensors).reduce((sum, { byteLength }) => sum + byteLength, 0);
}
