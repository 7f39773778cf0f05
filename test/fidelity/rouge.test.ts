/**
 * ROUGE must be rouge-score's on real summaries.
 *
 *   SA_ORCH_TEST_PYTHON  an interpreter that can import rouge-score 0.1.2, for example after
 *                        `pip install --target <folder> rouge-score` with PYTHONPATH=<folder>
 *   SA_ORCH_DATA         a directory with xsum/ and cnn_dailymail/
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readSummaries, type SummaryRow } from '../../orchestrator/tasks/summaries/texts';
import { SUMMARY_COLUMNS, type SummaryTask } from '../../orchestrator/tasks/summaries/published';
import { ROUGE_NAMES, rougeScorer } from '../../orchestrator/tasks/summaries/rouge';
import { askPython, testIf } from '../support/reference';

const { SA_ORCH_TEST_PYTHON: python, SA_ORCH_DATA: data } = process.env;
const importable =
  python !== undefined && spawnSync(python, ['-c', 'import rouge_score']).status === 0;
const real = testIf('fidelity of ROUGE', {
  'SA_ORCH_TEST_PYTHON (with rouge-score)': importable ? python : undefined,
  SA_ORCH_DATA:
    data && existsSync(join(data, 'xsum')) && existsSync(join(data, 'cnn_dailymail'))
      ? data
      : undefined,
});

const sentences = (text: string) => text.split(/(?<=[.!?]["”’]?)\s+/);

real.each<[SummaryTask, string, string, (row: SummaryRow) => string]>([
  ['xsum', 'validation.jsonl', 'first sentence', ({ document }) => sentences(document)[0]!],
  [
    'xsum',
    'train.csv',
    'first ten sentences',
    ({ document }) => sentences(document).slice(0, 10).join(' '),
  ],
  [
    'cnn_dailymail',
    'validation.csv',
    'first three sentences, one a line',
    ({ document }) => sentences(document).slice(0, 3).join('\n'),
  ],
  [
    'cnn_dailymail',
    'train.csv',
    'first twenty sentences, one a line',
    ({ document }) => sentences(document).slice(0, 20).join('\n'),
  ],
])(
  "on every row of %s's %s, the document's %s score as rouge-score says",
  async (task, file, _what, predict) => {
    const { rows } = await readSummaries(
      join(data!, task, file),
      SUMMARY_COLUMNS[task],
      'leave out',
    );
    const pairs = rows.map((row) => [row.summary, predict(row)] as const);
    const theirs = askPython(python!, [join(__dirname, 'rouge_reference.py')], pairs) as [
      number[],
      number[],
    ][];
    const scorers = [rougeScorer({ stemmer: false }), rougeScorer({ stemmer: true })];
    let largest = 0;
    for (const [row, [reference, prediction]] of pairs.entries()) {
      for (const [i, score] of scorers.entries()) {
        const ours = score(reference, prediction);
        for (const [k, name] of ROUGE_NAMES.entries())
          largest = Math.max(largest, Math.abs(ours[name] - theirs[row]![i]![k]!));
      }
    }
    expect(largest).toBeLessThan(1e-12);
  },
);
