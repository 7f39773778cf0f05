/**
 * The files of a prepared split of summarization:
 *
 *   <split>.safetensors      as Dataset in job.proto says
 *   <split>.examples.jsonl   one row per line: its number in the source, and its summary under the
 *                            name of the source's column
 */
import { join } from 'node:path';
import { writeDurably } from '../../../common/durable-files';
import { chooseSplitRows, findSplitSource } from '../../datasets/hold-out';
import { joinRows, makeOffsets, makeTokenTensors } from '../../datasets/ragged';
import { encodeSafetensors } from '../../datasets/safetensors';
import { readLines } from '../../tables/text';
import type { DatasetFiles } from '../family';
import type { SummaryColumns, SummaryDataset } from './dataset';
import { digestSummaries, readSummarySplit } from './source';
import { groupByDocument, type SummaryRow } from './texts';
import { loadSummaryTokenizer, type SummaryTokenizer } from './tokenizer';

export const summaryFiles: DatasetFiles<SummaryDataset> = {
  async openSplits(dataset, backbonePath) {
    const { columns, max_target_length } = dataset.summaries;
    const { max_length } = dataset;
    const tokenizer = await loadSummaryTokenizer(backbonePath, { max_length, max_target_length });
    return {
      digest: (split) => digestSummaries(dataset.task, findSplitSource(dataset, split)),
      read: async (split) => {
        const source = findSplitSource(dataset, split);
        const { rows: all } = await readSummarySplit(dataset.task, columns, source);
        return async (folder) => {
          const rows = chooseSplitRows(all, split, dataset, groupByDocument);
          return {
            name: split.name,
            rows: rows.length,
            ...(await writeSummarySplit(folder, split.name, rows, tokenizer, columns)),
          };
        };
      },
    };
  },
  describe: ({ summaries }) => ({ summaries }),
};

/** The reference for a generated summary. */
export type StoredSummary = Pick<SummaryRow, 'row' | 'summary'>;

const locateExamples = (folder: string, split: string) => join(folder, `${split}.examples.jsonl`);

/**
 * Writes a split. Counts the documents' tokens, in total and in the longest row, those of the
 * summaries, and the rows of each that were truncated.
 */
export async function writeSummarySplit(
  folder: string,
  split: string,
  rows: readonly SummaryRow[],
  { encodeDocuments, encodeSummaries }: SummaryTokenizer,
  columns: SummaryColumns,
) {
  const documents = await encodeDocuments(rows.map(({ document }) => document));
  const targets = await encodeSummaries(rows.map(({ summary }) => summary));
  const { tensors, tokens, longest } = makeTokenTensors(documents);
  const ids = targets.map((target) => target.ids);
  const all = {
    ...tensors,
    target_ids: joinRows(ids),
    target_offsets: makeOffsets(ids.map(({ length }) => length)),
  };
  await writeDurably(join(folder, `${split}.safetensors`), encodeSafetensors(all));
  const lines = rows.map(
    ({ row, summary }) => `${JSON.stringify({ row, [columns.summary]: summary })}\n`,
  );
  await writeDurably(locateExamples(folder, split), lines.join(''));
  const cut = (encoded: readonly { truncated: boolean }[]) =>
    encoded.filter(({ truncated }) => truncated).length;
  return {
    tokens,
    longest,
    truncated: cut(documents),
    targets: { tokens: all.target_ids.data.length, truncated: cut(targets) },
  };
}

/** Reads a split's summaries back. @throws ConfigError that names the file if it is missing */
export function readStoredSummaries(
  folder: string,
  split: string,
  columns: SummaryColumns,
): StoredSummary[] {
  return readLines(locateExamples(folder, split)).map((line) => {
    const { row, [columns.summary]: summary } = JSON.parse(line) as Record<string, unknown>;
    return { row: row as number, summary: summary as string };
  });
}
