/** The folders of AdapterHub's library `adapters`: bottlenecks, LoRA, prefixes, prompts, heads. */
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import { hasBottleneck, hasLora } from '../sweep/adapters';
import { listBottlenecks } from './adapterhub-bottlenecks';
import { listLora } from './adapterhub-lora';
import type { Part } from './adapterhub-part';
import { listPrefix, listPrompt } from './adapterhub-tokens';
import { countSaved } from './compaction';
import type { ExportFormat } from './export-format';
import { findNames } from './find-names';
import { backboneId } from './open-backbone';
import { taskModel } from './task-model';
import type { TrainedTrial } from './trained-trial';

const VERSION = 'adapters.1.3.0';

export const adapterhub: ExportFormat = {
  title: 'AdapterHub',
  // As the hub calls the library.
  library: 'adapter-transformers',
  findObstacle({ trial: { adapter }, backbone, dataset }) {
    const { attention, ffn, unfrozen } = adapter;
    if (unfrozen !== 'none')
      return "AdapterHub's library does not train the backbone's own weights";
    if (attention === 'none' && ffn === 'none')
      return "AdapterHub's library has no adapters that are a head alone";
    if (backbone.model_type === 't5' && (attention === 'parallel' || ffn === 'parallel'))
      return "AdapterHub's parallel modules in T5 read what the block's norm has not normalized";
    if (backbone.model_type === 't5' && attention === 'prefix')
      return "AdapterHub's prefixes in T5 shift the distances between tokens";
    if (attention === 'prompt' && backbone.decoder)
      return "AdapterHub's library has no prompts for an encoder–decoder";
    if (attention === 'prompt' && dataset.kind === 'question_answering')
      return "AdapterHub's answers would count the prompt's tokens";
    return null;
  },
  async make(trained) {
    const { adapter } = trained.trial;
    const names = await findNames(trained);
    const parts: Part[] = [
      ...(hasBottleneck(adapter) ? [listBottlenecks(trained, names)] : []),
      ...(hasLora(adapter) ? [listLora(trained, names)] : []),
      ...(adapter.attention === 'prefix' ? [listPrefix(trained)] : []),
      ...(adapter.attention === 'prompt' ? [await listPrompt(trained)] : []),
    ];
    const tensors: Record<string, Tensor> = {};
    for (const [name, tensor] of parts.flatMap((part) => part.tensors))
      tensors[names.prefix + name] = tensor;
    const configs = parts.flatMap((part) => part.configs);
    const config = configs.length === 1 ? configs[0] : { architecture: 'union', configs };
    const files = new Map<string, string | Uint8Array>([
      ['adapter_config.json', describe(trained, { config })],
      ['adapter.safetensors', encodeSafetensors(tensors, { format: 'pt' })],
    ]);
    const head = makeHead(trained);
    if (head) {
      files.set('head_config.json', describe(trained, { config: head.config }));
      files.set('model_head.safetensors', encodeSafetensors(head.tensors, { format: 'pt' }));
    }
    return {
      files,
      loading: describeLoading(trained),
      notes: parts.flatMap((part) => part.notes),
      compacted: countSaved(
        trained,
        parts.flatMap((part) => part.pairs),
      ),
    };
  },
};

function describe({ trial, backbone }: TrainedTrial, config: object): string {
  const content = {
    ...config,
    hidden_size: backbone.hidden_size,
    model_class: modelClass(backbone.model_type),
    model_name: backboneId(backbone),
    model_type: backbone.model_type,
    name: trial.id,
    version: VERSION,
  };
  // The library accepts only a float, which JSON.stringify writes without a point if it is whole.
  const text = JSON.stringify(content, null, 2).replace(/("scaling": \d+)(?=,|\n)/g, '$1.0');
  return `${text}\n`;
}

const modelClass = (modelType: string): string =>
  ({
    bert: 'BertAdapterModel',
    roberta: 'RobertaAdapterModel',
    bart: 'BartForConditionalGeneration',
    t5: 'T5ForConditionalGeneration',
  })[modelType]!;

/** Encoder–decoders keep the head that they have. */
function makeHead({ trial, dataset, weights }: TrainedTrial) {
  if (!weights.has('head.out.weight')) return null;
  const at = `heads.${trial.id}`;
  const isPooled = weights.has('head.dense.weight');
  // Between them are dropout and the activation.
  const places = isPooled ? { dense: 1, out: 4 } : { out: 1 };
  const tensors: Record<string, Tensor> = {};
  for (const [part, index] of Object.entries(places))
    for (const kind of ['weight', 'bias'])
      tensors[`${at}.${index}.${kind}`] = weights.get(`head.${part}.${kind}`)!;
  const names = dataset.label_names;
  const config = {
    head_type: isPooled ? 'classification' : 'question_answering',
    num_labels: dataset.num_labels,
    layers: isPooled ? 2 : 1,
    activation_function: 'tanh',
    label2id:
      names.length > 0 ? Object.fromEntries(names.map((name, index) => [name, index])) : null,
    dropout_prob: null,
    ...(isPooled ? { use_pooler: false, bias: true } : {}),
  };
  return { tensors, config };
}

function describeLoading({ dataset, backbone, trial }: TrainedTrial): string {
  // The library's masks for other implementations of attention let tokens see padding, or not see
  // a prefix.
  const attention = ['prefix', 'prompt'].includes(trial.adapter.attention)
    ? ', attn_implementation="eager"'
    : '';
  const from = `from_pretrained(\n    ${JSON.stringify(backboneId(backbone))}${attention}\n)`;
  const load = 'model.load_adapter(".", use_safetensors=True, set_active=True)\nmodel.eval()';
  const { auto } = taskModel({ dataset, backbone });
  return backbone.decoder
    ? `import adapters\nfrom transformers import ${auto}\n\n` +
        `model = ${auto}.${from}\nadapters.init(model)\n${load}`
    : `from adapters import AutoAdapterModel\n\nmodel = AutoAdapterModel.${from}\n${load}`;
}
