/** Remembers which of a trial's tensors have become part of an export. */
import type { Tensor } from '../../common/safetensors';
import type { Weights } from './trained-trial';

type Matrix = Tensor<Float32Array>;

/** `get` takes a tensor; going through all of them takes none. */
export class TakenWeights extends Map<string, Matrix> {
  private readonly taken = new Set<string>();

  constructor(weights: Weights) {
    super();
    for (const [name, tensor] of weights) this.set(name, tensor);
  }

  override get(name: string): Matrix | undefined {
    this.taken.add(name);
    return super.get(name);
  }

  /** Names of the tensors that nothing has asked for. */
  listLeft(): string[] {
    return [...this.keys()].filter((name) => !this.taken.has(name));
  }
}
