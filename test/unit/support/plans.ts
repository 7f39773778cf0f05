import { findGlueTask, countOutputs } from '../../../orchestrator/tasks/rows/published';
import { countBudget } from '../../../orchestrator/tasks/budget';
import type { TaskConfig, TrainSettings } from '../../../orchestrator/config/sweep-config';
import { DENSE } from '../../../orchestrator/sweep/dense';
import type {
  AdapterConfig,
  Budget,
  PlannedBackbone,
  PlannedDataset,
  PruneConfig,
} from '../../../orchestrator/sweep/types';

/** MiniLM's sizes. */
export function backbone(): PlannedBackbone {
  return {
    name: 'all-MiniLM-L6-v2',
    path: '/models/minilm',
    digest: 'b'.repeat(64),
    model_type: 'bert',
    hidden_size: 384,
    intermediate_size: 1536,
    num_layers: 6,
    vocab_size: 30_522,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    weights: 22_713_216,
  };
}

/** A planned data set with so many rows in its splits. */
export function dataset(
  name: string,
  rows: { train?: number; validation?: number; of?: number } = {},
): PlannedDataset {
  const task = findGlueTask(name);
  const { train = 400, validation = 100, of } = rows;
  return {
    digest: `${name}-digest`,
    task: name,
    kind: task.kind,
    num_labels: countOutputs(task),
    label_names: [...task.labels],
    metrics: [...task.metrics],
    source: 'files',
    splits: task.splits.map((split) => ({
      name: split.name,
      file: `/glue/${task.folder}/${split.tsv}`,
      rows: split.name === 'train' ? train : validation,
      of: of ?? (split.name === 'train' ? train : validation),
      digest: 'f'.repeat(64),
    })),
    tokenizer: 'c'.repeat(64),
    max_length: 128,
    rows: null,
    validation_rows: null,
  };
}

/** A dense adapter's pruning, with changes. */
export function prune(changes: Partial<PruneConfig> = {}): PruneConfig {
  return { ...DENSE, ...changes };
}

/** Sizes of an adapter pruned like this, on a data set's kind of task. */
export function countSizes(
  adapter: AdapterConfig,
  pruned: PruneConfig,
  on: PlannedBackbone,
  task: Pick<PlannedDataset, 'kind' | 'num_labels'>,
): Budget {
  return countBudget({ adapter, prune: pruned }, on, task);
}

/** A task's training settings in a sweep without axes. */
export function trainOf(task: TaskConfig | undefined): TrainSettings {
  return task!.lines[0]![0]!.candidates[0]!.train;
}
