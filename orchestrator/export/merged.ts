/** The backbone with the trial's update in its weights, as a model of Transformers. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor } from '../../common/safetensors';
import { isNamed } from '../../common/vocabulary/tensor-names';
import { hasBottleneck } from '../sweep/adapters';
import type { AdapterConfig } from '../sweep/types';
import { isTokenizerFile } from '../runtime/backbone-tokenizer';
import { add, addLowRank } from './arithmetic';
import { listBiases } from './biases';
import type { ExportFormat, FileContent } from './export-format';
import { findNames } from './find-names';
import { describeLaterForm } from './later-forms';
import { OpenBackbone } from './open-backbone';
import { parsePlace, type ModelNames } from './places';
import { headTensors, taskModel } from './task-model';
import type { TrainedTrial } from './trained-trial';
import { isLowRank, takePairs } from './units';
import { streamSafetensors, type TensorSource } from './stream-safetensors';

type Matrix = Tensor<Float32Array>;
type Change = (weight: Matrix) => Matrix;

export const merged: ExportFormat = {
  title: 'a merged model',
  library: 'transformers',
  findObstacle({ trial: { adapter } }) {
    const later = describeLaterForm(adapter, ['unfrozen_tensors']);
    if (later !== null) return later;
    if (hasBottleneck(adapter))
      return "a bottleneck module is not linear, so it cannot be part of the backbone's weights";
    if (adapter.attention === 'prefix' || adapter.attention === 'prompt')
      return `a ${adapter.attention} adds tokens, so it cannot be part of the backbone's weights`;
    return null;
  },
  async make(trained) {
    const { backbone } = trained;
    const opened = await OpenBackbone.open(backbone);
    const names = await findNames(trained);
    const { auto, architectures, config } = taskModel(trained);
    const content = {
      ...opened.config,
      architectures: [architectures[backbone.model_type]],
      dtype: 'float32',
      ...config,
    };
    delete (content as Record<string, unknown>).torch_dtype;
    const files = new Map<string, FileContent>([
      ['config.json', `${JSON.stringify(content, null, 2)}\n`],
      ['model.safetensors', streamSafetensors(listSources(trained, opened, names))],
    ]);
    for (const name of readdirSync(opened.folder))
      if (isTokenizerFile(name) || name === 'generation_config.json')
        files.set(name, readFileSync(join(opened.folder, name)));
    return {
      files,
      loading: `from transformers import ${auto}\n\nmodel = ${auto}.from_pretrained(".").eval()`,
      notes: [],
      compacted: null,
    };
  },
};

/** All tensors of the model: the backbone's, changed where the trial changes them, and the head. */
function listSources(
  trained: TrainedTrial,
  opened: OpenBackbone,
  names: ModelNames,
): TensorSource[] {
  const changes = listChanges(trained, names);
  const isPrefixed =
    names.prefix !== '' && opened.names.some((name) => name.startsWith(names.prefix));
  const head = headTensors(trained).tensors;
  const sources: TensorSource[] = [];
  for (const stored of opened.names) {
    if (!opened.isFloat(stored)) continue;
    const isInside = !isPrefixed || stored.startsWith(names.prefix);
    const inside = isInside ? stored.slice(isPrefixed ? names.prefix.length : 0) : stored;
    if (!belongs(trained.backbone.model_type, inside, isInside)) continue;
    const plain = inside.replace(/\.gamma$/, '.weight').replace(/\.beta$/, '.bias');
    const isOutside = OUTSIDE.test(plain);
    const name = isOutside ? plain : names.prefix + plain;
    if (head.has(name)) continue;
    const change = isOutside ? undefined : changes.get(plain);
    changes.delete(plain);
    sources.push({
      name,
      shape: opened.shapeOf(stored),
      read: () => (change ? change(opened.read(stored)) : opened.read(stored)),
    });
  }
  const [missing] = changes.keys();
  if (missing !== undefined) throw new Error(`the backbone has no ${missing}, which was trained`);
  for (const [name, tensor] of head)
    sources.push({ name, shape: tensor.shape, read: () => tensor });
  return sources;
}

/** What stands beside the inner model in one that writes texts. */
const OUTSIDE = /^(lm_head\.|final_logits_bias$)/;

/** Whether a tensor is part of the model that is made: no pooler and no head of the backbone's. */
function belongs(modelType: string, name: string, isInside: boolean): boolean {
  if (modelType === 'bert' || modelType === 'roberta')
    return isInside && /^(embeddings|encoder)\./.test(name);
  return /^(shared|encoder|decoder)\./.test(name) || OUTSIDE.test(name);
}

/** By the name of a tensor of the inner model: what becomes of it. */
function listChanges(trained: TrainedTrial, names: ModelNames): Map<string, Change> {
  const { weights, trial } = trained;
  const changes = new Map<string, Change>();
  for (const name of [...weights.keys()].filter((each) => replacesBackbone(each, trial.adapter))) {
    const tensor = weights.get(name)!;
    changes.set(nameOwn(name, names), () => tensor);
  }
  for (const { place, tensor } of trial.adapter.unfrozen === 'biases' ? listBiases(weights) : [])
    changes.set(`${names.nameModule(place)}.bias`, (bias) => add(bias, tensor));
  for (const { place, down, up, trained: r } of takePairs(weights, isLowRank)) {
    const scale = trial.adapter.lora_alpha / r;
    const name = `${names.nameModule(place)}.weight`;
    const replaced: Change = changes.get(name) ?? ((weight) => weight);
    changes.set(name, (weight) => addLowRank(replaced(weight), up, down, scale));
  }
  return changes;
}

/** Whether a trained tensor stands in the place of one of the backbone's. */
function replacesBackbone(
  name: string,
  { unfrozen, unfrozen_tensors = [] }: AdapterConfig,
): boolean {
  if (unfrozen === 'all') return !name.startsWith('head.');
  const isAdded = /^head\.|\.(down|up)\./.test(name);
  return !isAdded && isNamed(name, unfrozen_tensors);
}

const EMBEDDINGS: Readonly<Record<string, string>> = {
  'embeddings.word.weight': 'embeddings.word_embeddings.weight',
  'embeddings.position.weight': 'embeddings.position_embeddings.weight',
  'embeddings.token_type.weight': 'embeddings.token_type_embeddings.weight',
  'embeddings.norm.weight': 'embeddings.LayerNorm.weight',
  'embeddings.norm.bias': 'embeddings.LayerNorm.bias',
};

/** Transformers' name of an encoder's own tensor that was trained. */
function nameOwn(name: string, names: ModelNames): string {
  const found = parsePlace(name);
  return found ? `${names.nameModule(found.place)}.${found.part}` : EMBEDDINGS[name]!;
}
