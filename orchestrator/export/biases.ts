import type { Tensor } from '../../common/safetensors';
import { parsePlace, type Place } from './places';
import type { Weights } from './trained-trial';

/** What BitFit adds to the backbone's biases, by place. */
export function listBiases(weights: Weights): { place: Place; tensor: Tensor<Float32Array> }[] {
  return [...weights.keys()].flatMap((name) => {
    const found = parsePlace(name);
    return found?.part === 'bias' ? [{ place: found.place, tensor: weights.get(name)! }] : [];
  });
}
