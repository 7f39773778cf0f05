/** Documents without summaries: how they are read, and what is said of their predictions. */
import type { Inputs } from '../inputs';
import type { SummaryDataset } from './dataset';
import { readWritten } from './evaluation';
import { writeSummarySplit } from './files';
import { readTexts } from './texts';
import { loadSummaryTokenizer } from './tokenizer';

export const summaryInputs: Inputs<SummaryDataset> = {
  help: {
    tasks: 'summarization',
    columns: "the task's column of documents",
    line: '{"row", "summary"}',
  },
  async writeFile(file, { folder, mark, dataset, backbonePath }) {
    const { columns } = dataset.summaries;
    const documents = await readTexts(file, columns.document, false);
    const rows = documents.map((document, i) => ({ row: i + 1, document, summary: '' }));
    const split = `input-${mark}`;
    const tokenizer = await loadSummaryTokenizer(backbonePath, {
      max_length: dataset.max_length,
      max_target_length: dataset.summaries.max_target_length,
    });
    await writeSummarySplit(folder, split, rows, tokenizer, columns);
    return { split, rows: rows.length };
  },
  async describe(predictions, { rows }, { dataset, backbonePath }) {
    const written = await readWritten(predictions, rows, dataset, backbonePath);
    return written.map((summary, i) => ({ row: i + 1, summary }));
  },
};
