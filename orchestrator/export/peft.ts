/** PEFT's folders: LoRA, prompts of T5, and biases as BEFT, each with the head. */
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import { hasBottleneck, hasLora } from '../sweep/adapters';
import { backboneId, OpenBackbone } from './open-backbone';
import { compact, countSaved } from './compaction';
import type { Compacted, ExportFormat } from './export-format';
import { listBiases } from './biases';
import { findNames } from './find-names';
import { describeLaterForm } from './later-forms';
import { headTensors, taskModel } from './task-model';
import type { TrainedTrial } from './trained-trial';
import { isLowRank, padUnits, tensorsOf, unitsOf } from './units';

type Tensors = Record<string, Tensor>;

interface Made {
  config: Record<string, unknown>;
  tensors: Tensors;
  notes: string[];
  compacted: Compacted | null;
}

/** What names begin with in PEFT's files. */
const BASE = 'base_model.model.';

export const peft: ExportFormat = {
  title: 'PEFT',
  library: 'peft',
  findObstacle({ trial: { adapter }, backbone }) {
    const later = describeLaterForm(adapter);
    if (later !== null) return later;
    if (hasBottleneck(adapter)) return 'PEFT has no bottleneck adapters';
    if (adapter.attention === 'prefix')
      return "PEFT's prefixes shift the positions of a row's tokens, and an encoder has none";
    if (adapter.attention === 'prompt')
      return backbone.model_type === 't5'
        ? null
        : "PEFT's prompts shift the positions of a row's tokens";
    if (adapter.unfrozen === 'all') return 'PEFT has no full fine-tuning';
    if (!hasLora(adapter) && adapter.unfrozen === 'none')
      return 'PEFT has no adapters that are a head alone';
    return null;
  },
  async make(trained) {
    const { adapter } = trained.trial;
    const made =
      adapter.attention === 'prompt'
        ? makePrompt(trained)
        : adapter.unfrozen === 'biases'
          ? await makeBiases(trained)
          : await makeLora(trained);
    const { auto, peftTask, loadingArguments } = taskModel(trained);
    const head = headTensors(trained);
    const toSave = [...head.modules, ...((made.config.modules_to_save as string[]) ?? [])];
    const config = {
      ...made.config,
      base_model_name_or_path: backboneId(trained.backbone),
      task_type: peftTask,
      inference_mode: true,
      ...(toSave.length > 0 ? { modules_to_save: toSave } : {}),
    };
    const tensors = { ...made.tensors };
    for (const [name, tensor] of head.tensors) tensors[BASE + name] = tensor;
    return {
      files: new Map<string, string | Uint8Array>([
        ['adapter_config.json', `${JSON.stringify(config, null, 2)}\n`],
        ['adapter_model.safetensors', encodeSafetensors(tensors, { format: 'pt' })],
      ]),
      loading:
        `from peft import PeftModel\nfrom transformers import ${auto}\n\n` +
        `base = ${auto}.from_pretrained(\n` +
        `    ${JSON.stringify(backboneId(trained.backbone))}${loadingArguments}\n)\n` +
        'model = PeftModel.from_pretrained(base, ".").eval()',
      notes: made.notes,
      compacted: made.compacted,
    };
  },
};

/** Each place has the rank that is left of it, and its own α, so that α / r stays. */
async function makeLora(trained: TrainedTrial): Promise<Made> {
  const { lora_alpha: alpha } = trained.trial.adapter;
  const names = await findNames(trained);
  const all = compact(trained, isLowRank);
  // A place without a unit left adds nothing; PEFT wants one place at least.
  const left = all.filter((pair) => unitsOf(pair) > 0);
  const pairs = left.length > 0 ? left : [padUnits(all[0]!, 1)];
  const tensors: Tensors = {};
  const places = pairs.map((pair) => {
    const module = names.prefix + names.nameModule(pair.place);
    for (const [name, tensor] of tensorsOf(pair)) {
      const part = name === 'down.weight' ? 'lora_A' : 'lora_B';
      tensors[`${BASE}${module}.${part}.weight`] = tensor;
    }
    const r = unitsOf(pair);
    return { module, r, alpha: (alpha / pair.trained) * r };
  });
  const [r, lora_alpha] = [places[0]?.r ?? 1, places[0]?.alpha ?? 1];
  const other = (key: 'r' | 'alpha', usual: number) =>
    Object.fromEntries(
      places.flatMap((place) => (place[key] === usual ? [] : [[place.module, place[key]]])),
    );
  return {
    config: {
      peft_type: 'LORA',
      r,
      lora_alpha,
      lora_dropout: 0,
      bias: 'none',
      fan_in_fan_out: false,
      target_modules: places.map(({ module }) => module),
      rank_pattern: other('r', r),
      alpha_pattern: other('alpha', lora_alpha),
    },
    tensors,
    notes: [],
    compacted: countSaved(trained, pairs),
  };
}

function makePrompt({ weights, backbone, trial }: TrainedTrial): Made {
  return {
    config: {
      peft_type: 'PROMPT_TUNING',
      num_virtual_tokens: trial.adapter.attention_bottleneck,
      // Those of the encoder alone.
      num_transformer_submodules: 1,
      token_dim: backbone.hidden_size,
      num_layers: backbone.num_layers,
      prompt_tuning_init: 'RANDOM',
    },
    tensors: { prompt_embeddings: weights.get('prompt')! },
    notes: [],
    compacted: null,
  };
}

/** BEFT adds a vector to what a linear module gives; norms are saved whole. */
async function makeBiases(trained: TrainedTrial): Promise<Made> {
  const names = await findNames(trained);
  const opened = await OpenBackbone.open(trained.backbone);
  const tensors: Tensors = {};
  const targets: string[] = [];
  const norms: string[] = [];
  for (const { place, tensor } of listBiases(trained.weights)) {
    const module = names.prefix + names.nameModule(place);
    if (place.site.endsWith('norm')) {
      norms.push(module);
      const { weight, bias } = opened.readNorm(module, names.prefix);
      tensors[`${BASE}${module}.weight`] = weight;
      tensors[`${BASE}${module}.bias`] = {
        shape: bias.shape,
        data: bias.data.map((value, i) => value + tensor.data[i]!),
      };
    } else {
      targets.push(module);
      tensors[`${BASE}${module}.beft_bias`] = { shape: [1, tensor.shape[0]!], data: tensor.data };
    }
  }
  return {
    config: { peft_type: 'BEFT', target_modules: targets, modules_to_save: norms },
    tensors,
    notes: ['PEFT calls added biases BEFT; it needs PEFT 0.21 or newer.'],
    compacted: null,
  };
}
