/**
 * Which tensors train where the code published with SparseAdapter is given `--unfreeze_params`:
 * each of the pretrained model whose name contains one of these strings. Prefixes are apart from
 * that model there, and always train. Pure.
 */
import { isNamed } from '../../common/vocabulary/tensor-names';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { ENCODER_LAYER } from '../../common/vocabulary/encoder-layer';
import type { AdapterConfig, PlannedBackbone } from './types';

/** A tensor of the model: its name there and here, and whether it is the backbone's own. */
interface Named {
  theirs: string;
  ours: string;
  own: boolean;
}

/** What stays as it is drawn, and what of the backbone trains, as AdapterConfig has it. */
export interface Unfrozen {
  frozen: string[];
  unfrozen_tensors: string[];
  /** Whether anything of adapter, head and backbone trains. */
  trainsSomething: boolean;
}

const EMBEDDINGS = {
  'embeddings.word.weight': 'embeddings.word_embeddings.weight',
  'embeddings.position.weight': 'embeddings.position_embeddings.weight',
  'embeddings.token_type.weight': 'embeddings.token_type_embeddings.weight',
  'embeddings.norm.weight': 'embeddings.LayerNorm.weight',
  'embeddings.norm.bias': 'embeddings.LayerNorm.bias',
} as const;
const PARTS = ['weight', 'bias'] as const;
/** Patterns to try, the ones that say the most first. */
const PATTERNS = ['head.*', '*.weight', '*.bias', '*norm.*'];

/** For an encoder. */
export function unfreeze(
  unfreezeParams: string,
  adapter: AdapterConfig,
  backbone: Pick<PlannedBackbone, 'model_type' | 'num_layers'>,
  kind: string,
): Unfrozen {
  const strings = unfreezeParams.split(',');
  const named = listTensors(adapter, backbone, kind);
  const trains = ({ theirs }: Named) => strings.some((part) => theirs.includes(part));
  const added = named.filter(({ own }) => !own);
  const own = named.filter((each) => each.own);
  return {
    // A pattern must not name what trains of the backbone, either.
    frozen: writePatterns([...added, ...own.filter(trains)], (each) => !trains(each)),
    unfrozen_tensors: writePatterns(own, trains),
    trainsSomething: named.some(trains) || ATTENTION_MODULES[adapter.attention].form === 'prefix',
  };
}

/** Few patterns that name exactly the tensors that hold. */
function writePatterns(all: readonly Named[], holds: (each: Named) => boolean): string[] {
  let left = all.filter(holds).map(({ ours }) => ours);
  const rest = all.filter((each) => !holds(each)).map(({ ours }) => ours);
  const patterns: string[] = [];
  const candidates = [...PATTERNS, ...left.map((name) => name.replace(/\.\d+\./, '.*.')), ...left];
  for (const pattern of candidates) {
    const named = (name: string) => isNamed(name, [pattern]);
    if (!left.some(named) || rest.some(named)) continue;
    patterns.push(pattern);
    left = left.filter((name) => !named(name));
  }
  return patterns;
}

function listTensors(
  adapter: AdapterConfig,
  { model_type, num_layers }: Pick<PlannedBackbone, 'model_type' | 'num_layers'>,
  kind: string,
): Named[] {
  const named: Named[] = [];
  const add = (ours: string, theirs: string, own = false) => named.push({ ours, theirs, own });
  for (const [ours, theirs] of Object.entries(EMBEDDINGS))
    add(ours, `${model_type}.${theirs}`, true);
  for (let i = 0; i < num_layers; i += 1) {
    const [here, there] = [`layers.${i}.`, `${model_type}.encoder.layer.${i}.`];
    for (const [name, place] of Object.entries(ENCODER_LAYER)) {
      for (const part of PARTS) {
        // A key's bias has no effect, and the contract leaves it out.
        if (name !== 'key' || part !== 'bias')
          add(`${here}${name}.${part}`, `${there}${place}.${part}`, true);
      }
    }
    for (const [ours, theirs] of moduleTensors(adapter)) add(here + ours, there + theirs);
  }
  for (const [ours, theirs] of headTensors(model_type, kind)) add(ours, theirs);
  return named;
}

/** Of one layer: names here and there. */
function moduleTensors(adapter: AdapterConfig): [string, string][] {
  const found: [string, string][] = [];
  const bottleneck = (site: string, place: string, norm: string, learned: boolean) => {
    for (const part of PARTS) {
      found.push([`${site}.down.${part}`, `${place}.down_proj.${part}`]);
      found.push([`${site}.up.${part}`, `${place}.up_proj.${part}`]);
      if (norm !== 'none')
        found.push([`${site}.norm.${part}`, `${place}.adapter_layer_norm_before.${part}`]);
    }
    if (learned) found.push([`${site}.scale`, `${place}.scale`]);
  };
  const lowRank = (name: keyof typeof ENCODER_LAYER) =>
    found.push(
      [`${name}.down.weight`, `${ENCODER_LAYER[name]}.ef_lora_A`],
      [`${name}.up.weight`, `${ENCODER_LAYER[name]}.ef_lora_B`],
    );
  if (ATTENTION_MODULES[adapter.attention].form === 'bottleneck') {
    const inside = adapter.attention === 'sequential' ? 'attention.output' : 'attention.self';
    const norm = adapter.attention_norm ?? adapter.norm;
    bottleneck('attention', `${inside}.ef_attn_adapter`, norm, false);
  }
  if (FFN_MODULES[adapter.ffn].form === 'bottleneck') {
    const place = adapter.ffn === 'parallel' ? 'ef_ffn_adapter' : 'output.ef_ffn_adapter';
    bottleneck('ffn', place, adapter.norm, adapter.learned_scale === true);
  }
  if (adapter.attention === 'lora') (['query', 'value'] as const).forEach(lowRank);
  if (adapter.ffn === 'lora') (['ffn_in', 'ffn_out'] as const).forEach(lowRank);
  if (adapter.prefix_use === 'cross') {
    for (const part of PARTS)
      found.push([`transform_norm.${part}`, `attention.self.ef_transform_layer_norm.${part}`]);
  }
  return found;
}

function headTensors(modelType: string, kind: string): [string, string][] {
  const both = (ours: string, theirs: string): [string, string][] =>
    PARTS.map((part) => [`${ours}.${part}`, `${theirs}.${part}`]);
  if (kind === 'question_answering') return both('head.out', 'qa_outputs');
  return modelType === 'bert'
    ? [...both('head.dense', 'bert.pooler.dense'), ...both('head.out', 'classifier')]
    : [...both('head.dense', 'classifier.dense'), ...both('head.out', 'classifier.out_proj')];
}
