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

/** What one job takes from the store, and adds to it. */
export class SharedTensors {
  private readonly own = new Set<string>();

  /** reused: told of rows whose passes something kept stands for, of this job or an earlier one. */
  constructor(
    private readonly store: ScoringStore,
    private readonly reused: (rows: number, wasEarlier: boolean) => Promise<void>,
  ) {}

  /** What is kept under a key, else what `make` makes of so many rows. key: as in `put`. */
  async take(key: string, rows: number, make: () => Promise<Tensors>): Promise<Tensors> {
    const known = this.store.find(key);
    if (known) {
      await this.reused(rows, !this.own.has(key));
      return known;
    }
    const made = await make();
    this.store.put(key, made);
    this.own.add(key);
    return made;
  }
}

/** Bytes. */
function sizeOf(tensors: Tensors): number {
  return Object.values(tensors).reduce((sum, { byteLength }) => sum + byteLength, 0);
}
