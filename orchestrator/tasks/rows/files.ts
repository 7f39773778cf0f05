/** The file of a prepared split of rows: `<split>.safetensors`, as Dataset in job.proto says. */
import { join } from 'node:path';
import { writeDurably } from '../../../common/durable-files';
import { ConfigError } from '../../base/errors';
import { chooseSplitRows, findSplitSource } from '../../datasets/hold-out';
import { makeTokenTensors } from '../../datasets/ragged';
import { encodeSafetensors, readSafetensors } from '../../datasets/safetensors';
import { datasetPath, type PreparedSplit } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import { loadRowEncoder, type EncodeRows } from '../../tokenizers/rows';
import type { DatasetFiles } from '../family';
import type { Row, RowsDataset } from './dataset';
import { groupByText } from './shared-text';
import { digestRows, readRows } from './source';

export const rowFiles: DatasetFiles<RowsDataset> = {
  async openSplits(dataset, backbonePath) {
    const encode = await loadRowEncoder(backbonePath, dataset.max_length);
    return {
      digest: (split) => digestRows(dataset, findSplitSource(dataset, split)),
      read: async (split) => {
        const all = await readRows(dataset, findSplitSource(dataset, split));
        const rows = chooseSplitRows(all, split, dataset, dataset.held_out && groupByText(all));
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
  { kind }: Pick<RowsDataset, 'kind'>,
): Promise<PreparedSplit> {
  const encoded = await encode(rows);
  const { tensors, ...counts } = makeTokenTensors(encoded);
  const labels =
    kind === 'regression'
      ? Float32Array.from(rows, ({ label }) => label ?? NaN)
      : Int32Array.from(rows, ({ label }) => label ?? -1);
  const all = { ...tensors, labels: { shape: [rows.length], data: labels } };
  await writeDurably(join(folder, `${split.name}.safetensors`), encodeSafetensors(all));
  return {
    name: split.name,
    rows: rows.length,
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
