/** Which adapters an encoder–decoder (BART, T5) can have, as in job.proto. Pure. */
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { adapterLabel, adapterName } from './adapters';
import type { AdapterConfig, PlannedBackbone } from './types';

export const ENCODER_DECODERS = ['bart', 't5'];

/** The key, why this backbone cannot have the adapter and what would be right; null if it can. */
export function adapterProblem(
  adapter: AdapterConfig,
  { name, model_type, decoder }: PlannedBackbone,
): string | null {
  if (decoder === undefined) return null;
  const refuse = (reason: string) =>
    `adapter: ${adapterLabel(adapter)} is not allowed with ${name}, ${reason}; must be another`;
  if (adapter.unfrozen === 'all')
    return refuse('an encoder–decoder, which is not fine-tuned as a whole');
  if (adapterName(adapter) === 'head_only')
    return refuse('an encoder–decoder, which has no head, so that nothing would be trained');
  if (model_type !== 't5') return null;
  if (adapter.unfrozen === 'biases') return refuse('of type t5, which has no biases');
  if (FFN_MODULES[adapter.ffn].needsNormalizedSum) {
    return refuse(
      `of type t5: ${adapter.ffn} is for blocks that normalize their sum, and those of t5 ` +
        'normalize their input',
    );
  }
  return null;
}
