/** The model of Transformers that a task's head makes of a backbone. */
import type { Tensor } from '../../common/safetensors';
import type { TrainedTrial, Weights } from './trained-trial';

export interface TaskModel {
  /** The class that loads it: `AutoModelForSequenceClassification`. */
  auto: string;
  /** The class in config.json, by model_type. */
  architectures: Readonly<Record<string, string>>;
  /**
   * PEFT's name of such tasks; null for questions, whose class in PEFT forgets the token types.
   */
  peftTask: string | null;
  /** Arguments for loading the backbone with a head of the right size. */
  loadingArguments: string;
  /** Fields of config.json. */
  config: Record<string, unknown>;
}

type Task = Pick<TrainedTrial, 'dataset' | 'backbone'>;

export function taskModel({ dataset }: Task): TaskModel {
  const { kind, num_labels, label_names } = dataset;
  if (kind === 'summarization')
    return {
      auto: 'AutoModelForSeq2SeqLM',
      architectures: { bart: 'BartForConditionalGeneration', t5: 'T5ForConditionalGeneration' },
      peftTask: 'SEQ_2_SEQ_LM',
      loadingArguments: '',
      config: {},
    };
  if (kind === 'question_answering')
    return {
      auto: 'AutoModelForQuestionAnswering',
      architectures: { bert: 'BertForQuestionAnswering', roberta: 'RobertaForQuestionAnswering' },
      peftTask: null,
      loadingArguments: '',
      config: {},
    };
  const named = label_names.length > 0;
  return {
    auto: 'AutoModelForSequenceClassification',
    architectures: {
      bert: 'BertForSequenceClassification',
      roberta: 'RobertaForSequenceClassification',
    },
    peftTask: 'SEQ_CLS',
    loadingArguments: `, num_labels=${num_labels}`,
    config: {
      id2label: named ? { ...label_names } : { 0: 'score' },
      label2id: named
        ? Object.fromEntries(label_names.map((name, index) => [name, index]))
        : { score: 0 },
      problem_type: kind === 'regression' ? 'regression' : 'single_label_classification',
    },
  };
}

/** The head's tensors under the names that they have in that model; its modules by name. */
export function headTensors({ weights, backbone }: Pick<TrainedTrial, 'weights' | 'backbone'>): {
  tensors: Map<string, Tensor<Float32Array>>;
  modules: string[];
} {
  const tensors: Weights = new Map();
  if (!weights.has('head.out.weight')) return { tensors, modules: [] };
  const isPooled = weights.has('head.dense.weight');
  const isBert = backbone.model_type === 'bert';
  const names = isPooled
    ? isBert
      ? { dense: 'bert.pooler.dense', out: 'classifier' }
      : { dense: 'classifier.dense', out: 'classifier.out_proj' }
    : { out: 'qa_outputs' };
  for (const [part, name] of Object.entries(names))
    for (const kind of ['weight', 'bias'])
      tensors.set(`${name}.${kind}`, weights.get(`head.${part}.${kind}`)!);
  const modules = isPooled ? (isBert ? ['pooler', 'classifier'] : ['classifier']) : ['qa_outputs'];
  return { tensors, modules };
}
