/** Reads tokenized data sets: ragged rows, checked against what the backbone can take. */
import { TaskKind, taskKindToJSON, type Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Tensor, TensorData } from '../../common/safetensors';
import { artifactPath, badArtifact, readTensors } from './artifacts';

export interface Split {
  rows: number;
  /** int32 [tokens]. */
  inputIds: Int32Array;
  /** uint8 [tokens]. */
  tokenTypeIds: Uint8Array;
  /** [rows + 1]: row i is inputIds[offsets[i]:offsets[i + 1]]. */
  offsets: Float64Array;
  /**
   * What is learned, each tensor [rows]: labels, or start and end for QUESTION_ANSWERING. Negative
   * or NaN means unknown.
   */
  labels: (Int32Array | Float32Array)[];
}

/** What a backbone can take. */
export interface BackboneLimits {
  vocabulary: number;
  tokenTypes: number;
  /** Maximum tokens per row. */
  longest: number;
}

/** The tensors that are learned, by task kind. */
const LEARNED: Partial<Record<TaskKind, readonly string[]>> = {
  [TaskKind.TASK_KIND_CLASSIFICATION]: ['labels'],
  [TaskKind.TASK_KIND_REGRESSION]: ['labels'],
  [TaskKind.TASK_KIND_QUESTION_ANSWERING]: ['start_positions', 'end_positions'],
};

/**
 * Reads `<dataset>/<name>.safetensors`.
 *
 * @throws EngineFailure (BAD_ARTIFACT) that names the file, the tensor and what would be right
 */
export function readSplit(
  root: string,
  dataset: Dataset,
  name: string,
  limits: BackboneLimits,
): Split {
  const path = artifactPath(root, `${dataset.name}/${name}.safetensors`);
  const learned = listLearned(dataset);
  const tensors = readTensors(path);
  const take = <Data extends TensorData>(
    tensor: string,
    type: new (...args: never[]) => Data,
  ): Data => {
    const found: Tensor | undefined = tensors.get(tensor);
    if (!found)
      throw badArtifact(
        `${path} has no tensor ${tensor}; a split holds input_ids, offsets, token_type_ids, ` +
          learned.join(', '),
      );
    if (!(found.data instanceof type))
      throw badArtifact(
        `${path}: ${tensor} must be ${type.name.replace('Array', '').toLowerCase()}`,
      );
    return found.data;
  };
  const check = (holds: boolean, tensor: string, right: string): void => {
    if (!holds) throw badArtifact(`${path}: ${tensor} ${right}`);
  };
  const inputIds = take('input_ids', Int32Array);
  const tokenTypeIds = take('token_type_ids', Uint8Array);
  const offsets = Float64Array.from(take('offsets', BigInt64Array), Number);
  const rows = offsets.length - 1;
  check(rows >= 1, 'offsets', 'must have at least two values, as a split has at least one row');
  check(
    offsets[0] === 0 && offsets[rows] === inputIds.length,
    'offsets',
    `must run from 0 to the ${inputIds.length} tokens of input_ids`,
  );
  const lengths = offsets.subarray(1).map((end, row) => end - offsets[row]!);
  check(
    lengths.every((length) => length > 0),
    'offsets',
    'must rise: every row has at least one token',
  );
  const most = lengths.reduce((longest, length) => Math.max(longest, length), 0);
  check(
    most <= limits.longest,
    'offsets',
    `has a row of ${most} tokens; the backbone takes at most ${limits.longest}`,
  );
  check(
    inputIds.every((id) => id >= 0 && id < limits.vocabulary),
    'input_ids',
    `must be in [0, ${limits.vocabulary}), the backbone's vocabulary`,
  );
  check(
    tokenTypeIds.length === inputIds.length,
    'token_type_ids',
    `must have one value per token, ${inputIds.length}`,
  );
  check(
    tokenTypeIds.every((type) => type < limits.tokenTypes),
    'token_type_ids',
    `must be less than ${limits.tokenTypes}, the backbone's number of token types`,
  );
  const isNumber = dataset.taskKind === TaskKind.TASK_KIND_REGRESSION;
  const labels = learned.map((tensor) =>
    take<Int32Array | Float32Array>(tensor, isNumber ? Float32Array : Int32Array),
  );
  for (const [index, values] of labels.entries()) {
    const tensor = learned[index]!;
    check(values.length === rows, tensor, `must have one value per row, ${rows}`);
    if (dataset.taskKind === TaskKind.TASK_KIND_CLASSIFICATION) {
      const inside = values.every((value) => value >= -1 && value < dataset.numLabels);
      check(inside, tensor, `must be a class in [0, ${dataset.numLabels}), or −1 for none`);
    } else if (!isNumber) {
      const inside = values.every((place, row) => place >= -1 && place < lengths[row]!);
      check(inside, tensor, 'must be token positions in their rows, or −1 if unknown');
    }
  }
  return { rows, inputIds, tokenTypeIds, offsets, labels };
}

/**
 * Throws EngineFailure (BAD_ARTIFACT) if a row of a split, which must be learned from, has no
 * label.
 */
export function requireLabels({ labels }: Split, dataset: Dataset, name: string): void {
  for (const [index, values] of labels.entries()) {
    const row = values.findIndex(
      (value) => Number.isNaN(value) || (values instanceof Int32Array && value < 0),
    );
    if (row < 0) continue;
    const tensor = listLearned(dataset)[index]!;
    throw badArtifact(
      `${dataset.name}/${name}.safetensors: ${tensor}: row ${row} has no label; ` +
        'every row to learn from needs one',
    );
  }
}

function listLearned({ taskKind }: Dataset): readonly string[] {
  const learned = LEARNED[taskKind];
  if (!learned)
    throw new Error(
      `${taskKindToJSON(taskKind)} has pairs of texts, which this function does not read`,
    );
  return learned;
}
