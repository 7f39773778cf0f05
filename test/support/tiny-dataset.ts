/** A small tokenized data set with something to learn, as a trainer reads it: the orchestrator's tokenizer is not needed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { encodeSafetensors, type Tensor } from '../../orchestrator/data/safetensors';
import { seededRandom } from '../../orchestrator/data/rows';

const DIGEST = '7'.repeat(32);
/** Of BERT's vocabulary: [CLS], [SEP], and the range of whole English words. */
const CLS = 101;
const SEP = 102;
const WORDS = { from: 2000, to: 12000 };

export const TRAIN_ROWS = 96;
export const VALIDATION_ROWS = 40;

/** Writes the data set under an artifact root and returns what a job says of it. A row's label tells whether it has the word 2000. */
export function writeTinyDataset(root: string): Dataset {
  const folder = join(root, 'datasets', DIGEST);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'train.safetensors'), encodeSafetensors(rows(1, TRAIN_ROWS)));
  writeFileSync(join(folder, 'validation.safetensors'), encodeSafetensors(rows(2, VALIDATION_ROWS)));
  writeFileSync(join(folder, 'dataset.json'), JSON.stringify({ digest: DIGEST, task: 'tiny', kind: 'classification', num_labels: 2 }));
  return { name: `datasets/${DIGEST}`, digest: DIGEST, taskKind: TaskKind.TASK_KIND_CLASSIFICATION, numLabels: 2 };
}

function rows(seed: number, count: number): Record<string, Tensor> {
  const random = seededRandom(seed);
  const ids: number[] = [];
  const offsets = [0n];
  const labels: number[] = [];
  for (let row = 0; row < count; row++) {
    const words = Array.from(
      { length: 3 + Math.floor(random() * 10) },
      () => WORDS.from + 1 + Math.floor(random() * (WORDS.to - WORDS.from)),
    );
    const label = random() < 0.5 ? 1 : 0;
    if (label === 1) words[Math.floor(random() * words.length)] = WORDS.from;
    ids.push(CLS, ...words, SEP);
    offsets.push(BigInt(ids.length));
    labels.push(label);
  }
  return {
    input_ids: { shape: [ids.length], data: Int32Array.from(ids) },
    offsets: { shape: [offsets.length], data: BigInt64Array.from(offsets) },
    token_type_ids: { shape: [ids.length], data: new Uint8Array(ids.length) },
    labels: { shape: [count], data: Int32Array.from(labels) },
  };
}
