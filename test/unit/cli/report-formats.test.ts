/** What `report --format`, `compare` and `history` print of files that are there. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { compareCommand } from '../../../orchestrator/cli/compare';
import { historyCommand } from '../../../orchestrator/cli/history';
import { reportCommand } from '../../../orchestrator/cli/report';
import { writePlan } from '../../../orchestrator/store/plan-store';
import { writeResult } from '../../../orchestrator/store/sweep-store';
import { buildPlan, buildResults } from '../support/results';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-formats-'));
const plan = buildPlan();
const other = buildPlan({ train: { learning_rate: 1e-3 } });

beforeAll(async () => {
  for (const each of [plan, other]) {
    await writePlan(root, each);
    for (const result of buildResults(each)) await writeResult(root, each.sweep_id, result);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

async function type(command: Command, ...args: string[]): Promise<string> {
  let printed = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  try {
    await command.parseAsync([...args, '--root', root], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return printed;
}

test.each([
  ['markdown', /^All rows .*\n\n\| {2}\| mrpc, accuracy \|\n[^]*\nMean × 100 .*\n$/],
  ['latex', /^% \\usepackage\{booktabs\}\n[^]*\\end\{tabular\}\n$/],
  ['csv', /^trial_id,task,[^]*\r\n$/],
  ['table', /^All rows [^]*9 of 9 trials done[^]*report\.md\n/],
])('report --format %s prints that alone', async (format, expected) => {
  expect(await type(reportCommand(), plan.sweep_id, '--format', format)).toMatch(expected);
});

test('report --format json prints report.json', async () => {
  const printed = await type(reportCommand(), plan.sweep_id, '--format', 'json');
  expect(JSON.parse(printed)).toMatchObject({ sweep_id: plan.sweep_id, trials: { done: 9 } });
});

test('compare says what differs, then each row; with --json the same', async () => {
  const printed = await type(compareCommand(), plan.sweep_id, other.sweep_id);
  expect(printed).toContain('train.learning_rate 0.0005 → 0.001\n\nmrpc  dense, bottleneck 64  ');
  const json = await type(compareCommand(), plan.sweep_id, other.sweep_id, '--json');
  expect(JSON.parse(json)).toMatchObject({ sweep: plan.sweep_id, rows: [{}, {}, {}] });
});

test('history lists all trials; with --json as well', async () => {
  const lines = (await type(historyCommand())).trimEnd().split('\n');
  expect(lines).toHaveLength(19);
  expect(lines.join('\n')).toMatch(
    /^t\w{16} +mrpc +snip 40 %, houlsby-64 +0\.001 +2 +accuracy 84\.0/m,
  );
  const json = JSON.parse(await type(historyCommand(), '--json')) as { trials: object[] };
  expect(json.trials).toHaveLength(18);
});
