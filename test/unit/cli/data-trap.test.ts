/**
 * The data of a false finding: two of 388 training labels are `Billing`, the others `billing`, and
 * validation has none of the two. A trial that predicts one row as `Billing` loses a quarter of its
 * macro F1, whatever its mask.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSweepConfig } from '../../../orchestrator/config/load';
import { sayData } from '../../../orchestrator/cli/data-lines';
import { renderHtml } from '../../../orchestrator/report/html';
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { summarize } from '../../../orchestrator/report/summary';
import { renderTable } from '../../../orchestrator/report/table';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Plan } from '../../../orchestrator/sweep/types';
import { macroF1 } from '../../../orchestrator/tasks/rows/classification';
import { resolveDatasets } from '../../../orchestrator/tasks/resolve';
import { backbone } from '../support/plans';
import { writeVocabulary } from '../tasks/rows/support/vocabulary';

const SHARES = { billing: 130, shipping: 128, returns: 128 };
const folder = mkdtempSync(join(tmpdir(), 'sa-orch-trap-'));
const lines: string[] = [];
let plan: Plan;

const csv = (labels: string[], name: string) =>
  `text,queue\n${labels.map((label, i) => `${name} ${i},${label}`).join('\n')}\n`;
const repeat = (label: string, times: number) => new Array<string>(times).fill(label);

beforeAll(async () => {
  writeVocabulary(folder);
  const train = Object.entries(SHARES).flatMap(([label, rows]) => repeat(label, rows));
  const validation = Object.keys(SHARES).flatMap((label) => repeat(label, 25));
  writeFileSync(join(folder, 'train.csv'), csv([...train, ...repeat('Billing', 2)], 'ticket'));
  writeFileSync(join(folder, 'dev.csv'), csv(validation, 'question'));
  writeFileSync(
    join(folder, 'tickets.yaml'),
    `tasks:
  - { name: tickets, kind: classification, train: train.csv, validation: dev.csv,
      text: text, label: queue, metrics: [macro_f1, accuracy] }
max_length: 32
compare: [{ pruner: none }, { pruner: snip, sparsity: 0.8 }]
`,
  );
  const planned = { ...backbone(), path: folder };
  const config = loadSweepConfig(join(folder, 'tickets.yaml'));
  const datasets = await resolveDatasets(config, { env: {}, backbone: planned });
  sayData(datasets, '', (mark, name, text) => lines.push(`${mark} ${name}: ${text}`));
  plan = planSweep(config, {
    backbone: planned,
    datasets,
    maxCohort: 10,
    defaultPrecision: 'float32',
    profileReason: null,
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('one prediction of a class without a row takes the share of one class', () => {
  const labels = [0, 1, 2].flatMap((label) => new Array<number>(25).fill(label));
  expect(macroF1(labels, labels)).toBe(1);
  // scikit-learn, too, averages over the classes among labels and predictions.
  expect(macroF1(labels.with(0, 3), labels)).toBeCloseTo((3 - 1 / 49) / 4, 12);
});

describe('before anything runs', () => {
  test('each class is shown with its rows', () => {
    expect(lines).toContain(
      '· labels: tickets: Billing 2 / 0, billing 130 / 25, returns 128 / 25, shipping 128 / 25 ' +
        '(train / validation)',
    );
  });

  test('the classes are warned of by name', () => {
    expect(lines.filter((line) => line.startsWith('!'))).toEqual([
      '! data: tickets: "Billing" (2 train rows) and "billing" (130 train rows) are separate ' +
        'classes, but differ only in case, spaces, hyphens, accents or Unicode form',
      '! data: tickets: validation has no row of class "Billing" (2 train rows), so nothing ' +
        'measures it; one prediction of such a class counts as a class with F1 0 and makes ' +
        'macro_f1 3/4 of what it was',
      '! data: tickets: fewer than 10 train rows of class "Billing" (2): too few to be learned',
    ]);
  });
});

describe('the report', () => {
  test('warns of the same', () => {
    const { data_warnings: warnings = [] } = summarize(plan, [], {}).tasks[0]!;
    expect(warnings).toHaveLength(3);
    for (const warning of warnings) expect(warning).toContain('"Billing"');
  });

  test('says so once, under the table, on the terminal, too', () => {
    const summary = summarize(plan, [], {});
    const written = [renderMarkdown(summary), renderHtml(summary, ''), renderTable(plan, [])];
    for (const text of written) {
      expect(text).toMatch(/the data may mislead:(<ul>|<li>|\s)*.*Billing.* \(2 train rows\) and/);
      expect(text.match(/too few to be learned/g)).toHaveLength(1);
    }
  });
});
