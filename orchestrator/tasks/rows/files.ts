/** The file of a prepared split of rows: `<split>.safetensors`, as Dataset in job.proto says. */
import { join } from 'node:path';
import { writeDurably } from '../../../common/durable-files';
import { ConfigError } from '../../base/errors';
import { chooseRows } from '../../datasets/choose-rows';
import { makeTokenTensors } from '../../datasets/ragged';
import { encodeSafetensors, readSafetensors } from '../../datasets/safetensors';
import { datasetPath, findLimit, type PreparedSplit } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import { loadRowEncoder, type EncodeRows } from '../../tokenizers/rows';
import type { DatasetFiles } from '../family';
import type { Row, RowsDataset } from './dataset';
import { digestRows, readRows } from './source';

export const rowFiles: DatasetFiles<RowsDataset> = {
  async openSplits(dataset, backbonePath) {
    const encode = await loadRowEncoder(backbonePath, dataset.max_length);
    return {
      digest: (split) => digestRows(dataset, split),
      read: async (split) => {
        const rows = await readRows(dataset, split);
        return (folder) => writeRows(folder, split, rows, encode, dataset);
      },
    };
  },
  describe: () => ({}),
};

/** Writes rows as a split. */
export async function writeRows(
  folder: string,
  split: Pick<PlannedSplit, 'name'>,
  rows: readonly Row[],
  encode: EncodeRows,
  dataset: RowsDataset,
): Promise<PreparedSplit> {
  const limit = findLimit(dataset, split.name);
  const chosen = chooseRows(rows.length, limit).map((i) => rows[i]!);
  const encoded = await encode(chosen);
  const { tensors, ...counts } = makeTokenTensors(encoded);
  const labels =
    dataset.kind === 'regression'
      ? Float32Array.from(chosen, ({ label }) => label ?? NaN)
      : Int32Array.from(chosen, ({ label }) => label ?? -1);
  const all = { ...tensors, labels: { shape: [chosen.length], data: labels } };
  await writeDurably(join(folder, `${split.name}.safetensors`), encodeSafetensors(all));
  return {
    name: split.name,
    rows: chosen.length,
    ...counts,
    truncated: encoded.filter((row) => row.truncated).length,
  };
}

/** Reads the labels of a prepared split, as numbers. */
export function readLabels(root: string, dataset: RowsDataset, split: string): number[] {
  const path = join(datasetPath(root, dataset.digest), `${split}.safetensors`);
  const labels = readSafetensors(path).get('labels');
  if (labels === undefined) {
    throw new ConfigError({ where: path, message: 'has no labels' });
  }
  return Array.from(labels.data, Number);
}
