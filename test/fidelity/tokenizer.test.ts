/**
 * Token ids must be those of Python's tokenizers on every row: a trainer's backbone was trained
 * with them.
 *
 *   SA_ORCH_TEST_PYTHON    an interpreter with transformers
 *   SA_ORCH_TEST_BACKBONE  a model directory with tokenizer.json
 *   SA_ORCH_DATA           a directory with glue/, and with vocab/ for the tokenizers without
 *                          tokenizer.json
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GLUE_TASK_NAMES, findGlueTask } from '../../orchestrator/tasks/rows/published';
import { readGlueTsv } from '../../orchestrator/tasks/rows/glue-tsv';
import { loadTokenizer } from '../../orchestrator/tokenizers/tokenizer';
import { AnsweringProgram, testIf } from '../support/reference';

const {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_BACKBONE: backbone,
  SA_ORCH_DATA: data,
} = process.env;
type Pair = [text: string, pair: string | null];

let reference: AnsweringProgram;
beforeAll(
  () => (reference = new AnsweringProgram(python!, [join(__dirname, 'tokenizer_reference.py')])),
);
afterAll(() => reference.stop());

/** The first row whose ids or type ids differ, with both; null where all are equal. */
async function firstDifference(model: string, maxLength: number, rows: Pair[]): Promise<unknown> {
  const expected = (await reference.ask({ model, max_length: maxLength, rows })) as unknown[];
  const encode = loadTokenizer(model, maxLength);
  for (const [i, [text, pair]] of rows.entries()) {
    const { ids, typeIds } = encode(text, pair);
    if (JSON.stringify([ids, typeIds]) !== JSON.stringify(expected[i]))
      return { row: rows[i], ours: [ids, typeIds], theirs: expected[i] };
  }
  return null;
}

function glueRows(task: string): Pair[] {
  const { folder, splits } = findGlueTask(task);
  return splits.flatMap(({ tsv }) =>
    readGlueTsv(join(data!, 'glue', folder, tsv), findGlueTask(task)).map(
      ({ text, pair }): Pair => [text, pair],
    ),
  );
}

const odd: Pair[] = [
  ['', null],
  ['', ''],
  ['ΟΔΟΣ ΣΑΣ', 'İstanbul ǅ ﬁne Ａ１ ß ẞ'],
  ['𠀀𠀁x中文字', 'ｶﾀｶﾅ 한국어 ไทย हिन्दी'],
  [
    'tab\tnew\u0085line\u2028sep\u00a0nbsp\u200bzero\ufeffbom\u00adsoft',
    'e\u0301 é \u0000 \ufffd \u001f',
  ],
  ['[SEP] [MASK]<mask> </s>', '[CLS][PAD] <s>'],
  ["it's we'll I'M  double  spaces\r", '…—“quotes” ‘x’ $100,000.50 50% #1 @x'],
  ['😀👩‍👩‍👧 emoji🏳️‍🌈', 'a'.repeat(101)],
  [`${'word '.repeat(200)}`, `${'other '.repeat(90)}`],
];

const real = testIf('fidelity of tokens', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_BACKBONE: backbone,
  SA_ORCH_DATA: data,
});
real.each(GLUE_TASK_NAMES)(
  'every row of %s gets the ids that Transformers gives it',
  async (task) => {
    expect(await firstDifference(backbone!, 128, glueRows(task))).toBeNull();
  },
);

real('pairs are cut as Transformers cuts them, at odd and even lengths', async () => {
  for (const length of [16, 33, 64])
    expect(await firstDifference(backbone!, length, glueRows('rte'))).toBeNull();
});

real('texts of every script, control characters and special tokens get the same ids', async () => {
  expect(await firstDifference(backbone!, 128, odd)).toBeNull();
});

for (const model of ['bert-base-uncased', 'roberta-base']) {
  const folder = data && join(data, 'vocab', model);
  const vocabulary = testIf('fidelity of tokens', {
    SA_ORCH_TEST_PYTHON: python,
    SA_ORCH_DATA: folder && existsSync(folder) ? folder : undefined,
  });
  vocabulary(`${model} without tokenizer.json is read from its vocabulary files`, async () => {
    for (const task of ['mrpc', 'cola'])
      expect(await firstDifference(folder!, 128, glueRows(task))).toBeNull();
    expect(await firstDifference(folder!, 128, odd)).toBeNull();
  });
}
