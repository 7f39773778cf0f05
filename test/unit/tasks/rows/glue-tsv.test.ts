import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findGlueTask } from '../../../../orchestrator/tasks/rows/published';
import { readGlueTsv } from '../../../../orchestrator/tasks/rows/glue-tsv';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-tsv-'));
const file = join(folder, 'rows.tsv');
afterAll(() => rmSync(folder, { recursive: true }));

function read(task: string, content: string) {
  writeFileSync(file, content);
  return readGlueTsv(file, findGlueTask(task));
}

const MNLI_12 =
  'index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t' +
  'sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n' +
  '0\t1\t1n\tgov\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tOne.\tTwo.\tneutral\tcontradiction\n';

describe('GLUE files are read as they were published', () => {
  test('a quote is text, wherever it stands', () => {
    expect(read('sst2', 'sentence\tlabel\n" an open quote\t1\nit "" is\t0\n')).toEqual([
      { text: '" an open quote', pair: null, label: 1 },
      { text: 'it "" is', pair: null, label: 0 },
    ]);
  });

  test('MRPC begins with a byte-order mark, which is no part of the first column', () => {
    expect(
      read('mrpc', '\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA b.\tC d.\n'),
    ).toEqual([{ text: 'A b.', pair: 'C d.', label: 1 }]);
  });

  test('CoLA has no header: its first line is a row', () => {
    expect(
      read('cola', 'gj04\t1\t\tFine.\ngj04\t0\t*\tNot fine.\n').map((row) => row.label),
    ).toEqual([1, 0]);
  });

  test.each([
    ['12 columns', MNLI_12],
    ['4 columns', 'index\tsentence1\tsentence2\tgold_label\n0\tOne.\tTwo.\tcontradiction\n'],
  ])('MNLI is read with %s: columns are found by their headers', (_shape, content) => {
    expect(read('mnli', content)).toEqual([{ text: 'One.', pair: 'Two.', label: 2 }]);
  });

  test('STS-B labels are numbers', () => {
    const header =
      'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n';
    expect(read('stsb', `${header}0\tg\tf\ty\t1\tn\tn\tA.\tB.\t3.800\n`)).toEqual([
      { text: 'A.', pair: 'B.', label: 3.8 },
    ]);
  });

  test('labels are class names or indices', () => {
    const rows = read(
      'rte',
      'index\tsentence1\tsentence2\tlabel\n' +
        '0\ta\tb\tentailment\n1\ta\tb\tnot_entailment\n2\ta\tb\t1\n',
    );
    expect(rows.map((row) => row.label)).toEqual([0, 1, 1]);
  });

  test('a test file without a label column has rows without labels', () => {
    expect(read('rte', 'index\tsentence1\tsentence2\n0\ta\tb\n')).toEqual([
      { text: 'a', pair: 'b', label: null },
    ]);
  });

  test('lines end in \\n or \\r\\n, and in nothing else that looks like an end', () => {
    expect(read('sst2', 'sentence\tlabel\r\na\u0085b\u2028c\t1\r\n')).toEqual([
      { text: 'a\u0085b\u2028c', pair: null, label: 1 },
    ]);
  });

  test('the last line need not end', () => {
    expect(read('sst2', 'sentence\tlabel\na\t1')).toHaveLength(1);
  });

  test("QQP's published cut lines are left out", () => {
    const header = 'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n';
    expect(read('qqp', `${header}1\t2\t3\tA?\tB?\t0\n4\t5\t6\tcut\n`)).toHaveLength(1);
  });
});

describe('a broken GLUE file is refused with file and line', () => {
  test.each([
    [
      'a cut line',
      'rte',
      'index\tsentence1\tsentence2\tlabel\n0\ta\tb\n',
      ':2: has 3 columns; must have 4 (index, sentence1, sentence2, label)',
    ],
    ['a line with a cell too many', 'cola', 'x\t1\t\ta\tb\n', ':1: has 5 columns; must have 4'],
    [
      'an unknown label',
      'rte',
      'index\tsentence1\tsentence2\tlabel\n0\ta\tb\tmaybe\n',
      ':2: "maybe" is not a label of rte; must be one of entailment, not_entailment (or 0 to 1)',
    ],
    ['a label out of range', 'sst2', 'sentence\tlabel\na\t2\n', ':2: "2" is not a label of sst2'],
    ['an empty label', 'sst2', 'sentence\tlabel\na\t\n', ':2: "" is not a label of sst2'],
    [
      'a score that is no number',
      'stsb',
      'sentence1\tsentence2\tscore\na\tb\tgood\n',
      ':2: "good" is not a score of stsb; must be a number',
    ],
    [
      'a column of another name',
      'qnli',
      'index\tquestion\ttext\tlabel\n0\ta\tb\t0\n',
      ':1: has no column "sentence"; its header is "index", "question", "text", "label"',
    ],
    ['an empty file', 'rte', '', ': has no rows; must have one tab-separated row per line'],
    ['a header alone', 'rte', 'index\tsentence1\tsentence2\tlabel\n', ': has no rows'],
  ])('%s', (_what, task, content, message) => {
    expect(() => read(task, content)).toThrow(`${file}${message}`);
  });

  test('every broken line is listed, up to twenty', () => {
    const lines = Array.from({ length: 30 }, () => 'x').join('\n');
    expect(() => read('sst2', `sentence\tlabel\n${lines}\n`)).toThrow(
      /:2: .*:21: .*and 10 more lines/s,
    );
  });

  test('a file that is not there', () => {
    expect(() => readGlueTsv('/no/such/dev.tsv', findGlueTask('rte'))).toThrow(
      '/no/such/dev.tsv: there is no such file',
    );
  });
});
