/** Reports of sweeps whose trials were made by different frameworks or on different devices. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SweepSummary } from '../../../orchestrator/report/summary-types';
import { renderTable } from '../../../orchestrator/report/table';
import { writeReport } from '../../../orchestrator/report/write';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResults, CPU, GPU, madeBy } from '../support/results';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-makers-'));
afterAll(() => rmSync(root, { recursive: true }));

const TFJS = { ...CPU, framework: 'tfjs' };

/** Results of nine trials, in three rows, with what made each. */
function mix(plan: Plan, provenance: (i: number) => TrialResult['provenance']): TrialResult[] {
  return buildResults(plan).map((result, i) => ({ ...result, provenance: provenance(i) }));
}

async function report(plan: Plan, results: TrialResult[]) {
  await writeReport(plan, results, root);
  const read = (name: string) => readFileSync(join(root, 'sweeps', plan.sweep_id, name), 'utf8');
  const [header, ...rows] = read('results.csv')
    .trim()
    .split('\r\n')
    .map((line) => line.split(','));
  return {
    markdown: read('report.md'),
    rows: (JSON.parse(read('report.json')) as SweepSummary).tasks[0]!.rows,
    column: rows.map((cells) => cells[header!.indexOf('made_by')]),
  };
}

test('one framework on one kind of device is not mentioned, whatever its version', async () => {
  const plan = buildPlan();
  const other = { ...CPU, framework_version: '2.16.0', device_name: 'Other', details: { x: '1' } };
  const { markdown, rows, column } = await report(
    plan,
    mix(plan, (i) => madeBy(i < 5 ? CPU : other)),
  );
  expect(markdown).not.toContain('torch on');
  expect(rows[0]).not.toHaveProperty('made_by');
  expect(column).toEqual(Array(9).fill(undefined));
});

test('each row says what made it, and each trial in the CSV file, if they differ', async () => {
  const plan = buildPlan();
  const results = mix(plan, (i) => (i === 4 ? madeBy(CPU, GPU) : madeBy(i < 6 ? CPU : TFJS)));
  const { markdown, rows, column } = await report(plan, results);
  const items = [
    'dense, bottleneck 64: torch on cpu (3)',
    'snip 40 %, bottleneck 64: torch on cpu (2); torch on cpu, then torch on NVIDIA H100 (1)',
    'snip 80 %, bottleneck 64: tfjs on cpu (3)',
  ];
  expect(markdown).toContain(`trials by row:\n${items.map((item) => `  - ${item}\n`).join('')}`);
  for (const item of items) expect(renderTable(plan, results)).toContain(`      ${item}\n`);
  expect(rows.map(({ made_by }) => made_by)).toEqual([
    { 'torch on cpu': 3 },
    { 'torch on cpu': 2, 'torch on cpu, then torch on NVIDIA H100': 1 },
    { 'tfjs on cpu': 3 },
  ]);
  expect(new Set(column)).toEqual(new Set(['torch on cpu', 'tfjs on cpu', '"torch on cpu']));
});

test('results of an earlier version are unknown, whatever trainer they name', async () => {
  const plan = buildPlan();
  const old = { sa_orch: '0.0.9', backbone_digest: 'b', torch: '2.14.0', device: 'cpu' };
  const { rows } = await report(
    plan,
    mix(plan, (i) => (i < 3 ? old : madeBy(CPU))),
  );
  expect(rows[0]!.made_by).toEqual({ unknown: 3 });
  expect(rows[1]!.made_by).toEqual({ 'torch on cpu': 3 });
});
