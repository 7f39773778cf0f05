/**
 * Documents and summaries must have the tokens that Transformers gives them, and generated tokens
 * the text.
 *
 *   SA_ORCH_TEST_PYTHON  an interpreter with transformers
 *   SA_ORCH_DATA         a directory with xsum/, cnn_dailymail/ and vocab/roberta-base, which has
 *                        BART's vocabulary
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSummaries, type SummaryRow } from '../../orchestrator/tasks/summaries/texts';
import { SUMMARY_COLUMNS, type SummaryTask } from '../../orchestrator/tasks/summaries/published';
import { loadSummaryTokenizer } from '../../orchestrator/tasks/summaries/tokenizer';
import { askPython, testIf } from '../support/reference';
import { writeFolder } from '../support/tokenizer-folders';

const { SA_ORCH_TEST_PYTHON: python, SA_ORCH_DATA: data } = process.env;
const script = join(__dirname, 'summary_reference.py');
const isThere =
  data &&
  ['xsum', 'cnn_dailymail', 'vocab/roberta-base'].every((name) => existsSync(join(data, name)));
const real = testIf('fidelity of summaries', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: isThere ? data : undefined,
});

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-summary-tokens-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Documents are long: so many rows have tens of thousands of words. */
const ROWS = 150;
const readRows = async (task: SummaryTask, file: string) =>
  (await readSummaries(join(data!, task, file), SUMMARY_COLUMNS[task], 'leave out')).rows.slice(
    0,
    ROWS,
  );

type Encoded = [ids: number[], target: number[], text: string];

/** The first row whose tokens or text differ, with both; null where all are equal. */
async function firstDifference(
  model: string,
  rows: readonly SummaryRow[],
  max_length: number,
  max_target_length: number,
): Promise<unknown> {
  const pairs = rows.map(({ document, summary }) => [document, summary]);
  const theirs = askPython(
    python!,
    [script, 'encode', model, String(max_length), String(max_target_length)],
    pairs,
  ) as Encoded[];
  const { encodeDocuments, encodeSummaries, decode } = await loadSummaryTokenizer(model, {
    max_length,
    max_target_length,
  });
  const documents = await encodeDocuments(rows.map(({ document }) => document));
  const targets = await encodeSummaries(rows.map(({ summary }) => summary));
  const texts = await decode(targets.map(({ ids }) => ids));
  for (const i of rows.keys()) {
    const ours: Encoded = [documents[i]!.ids, targets[i]!.ids, texts[i]!];
    if (JSON.stringify(ours) !== JSON.stringify(theirs[i])) return { ours, theirs: theirs[i] };
  }
  return null;
}

describe("BART's tokenizer", () => {
  real.each([
    ['xsum', 'validation.jsonl', 512, 128],
    ['xsum', 'train.csv', 100, 16],
    ['cnn_dailymail', 'validation.csv', 512, 60],
  ] as const)(
    'gives rows of %s %s the tokens of Transformers, %i and %i at most, and their text',
    async (task, file, most, mostTarget) => {
      expect(
        await firstDifference(
          writeFolder({ 'config.json': { model_type: 'bart' } }, join(data!, 'vocab/roberta-base')),
          await readRows(task, file),
          most,
          mostTarget,
        ),
      ).toBeNull();
    },
  );
});

describe("a tokenizer like T5's", () => {
  real('gives rows of xsum the tokens of Transformers and their text', async () => {
    const rows = await readRows('xsum', 'validation.jsonl');
    const model = join(folder, 't5');
    askPython(
      python!,
      [script, 't5', model],
      rows.map(({ document }) => document),
    );
    expect(await firstDifference(model, rows, 256, 32)).toBeNull();
  });
});
