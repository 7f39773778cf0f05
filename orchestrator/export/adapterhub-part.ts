/** What the parts of an AdapterHub adapter have in common. */
import type { Tensor } from '../../common/safetensors';
import type { Pair } from './units';

/** A part of an adapter: its configurations and tensors, without the prefix of the model. */
export interface Part {
  configs: Record<string, unknown>[];
  tensors: [name: string, tensor: Tensor][];
  /** The pairs of matrices as they are written. */
  pairs: Pair[];
  notes: string[];
}
