/** What goes with an encoder–decoder (BART, T5) and what does not, as job.proto has it. Pure. */
import { adapterLabel, adapterName } from '../config/adapter-kinds';
import type { AdapterConfig, PlannedBackbone, TaskKind } from './types';

export const ENCODER_DECODERS = ['bart', 't5'];

/** Why a task is not for this backbone and what would be right, or null. */
export function taskProblem(
  task: string,
  kind: TaskKind,
  { name, model_type, decoder }: PlannedBackbone,
): string | null {
  if (kind === 'summarization' && decoder === undefined) {
    return (
      `backbone: ${name} is of type ${model_type} and cannot write summaries, as ${task} needs; ` +
      `must be an encoder–decoder (${ENCODER_DECODERS.join(', ')}), for example facebook/bart-base`
    );
  }
  if (kind !== 'summarization' && decoder !== undefined) {
    const noun = kind.replaceAll('_', ' ');
    return (
      `backbone: ${name} is of type ${model_type}, for summarization alone; ` +
      `must be an encoder (bert, roberta) for ${task}, which is ${noun}`
    );
  }
  return null;
}

/** The key with why an adapter is not for this backbone and what would be right, or null. */
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
  if (adapter.ffn === 'after_norm') {
    return refuse(
      'of type t5: after_norm is for blocks that normalize their sum, and those of t5 ' +
        'normalize their input',
    );
  }
  return null;
}
