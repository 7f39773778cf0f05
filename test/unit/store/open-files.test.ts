/** A sweep of a thousand trials in a process that may open few files. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../../common/package';
import { buildResult } from '../support/results';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

const TRIALS = 1000;

/** What start, watch, report and the worker do with the files. Prints how many results they see. */
const PROGRAM = `
const [dist, root] = process.argv.slice(1);
const load = (name) => require(dist + name);
const fs = require('node:fs');
const { readPlan, writePlan } = load('orchestrator/store/plan-store');
const { readResults } = load('orchestrator/store/sweep-results');
const { SweepReader } = load('orchestrator/cli/follow');
const { writeSweepReport } = load('workflows/activities/results');
async function main() {
  const planDigest = await writePlan(root, JSON.parse(fs.readFileSync(root + '/plan', 'utf8')));
  const plan = await readPlan(root, 'tiny-00000000');
  const results = fs.readFileSync(root + '/results', 'utf8').split('\\n');
  const folder = root + '/sweeps/tiny-00000000';
  fs.mkdirSync(folder + '/outcomes');
  for (const [i, { id }] of plan.trials.entries()) {
    const path = i % 2 ? root + '/trials/' + id + '/result' : folder + '/outcomes/' + id;
    fs.writeFileSync(path + '.json', results[i]);
  }
  await writeSweepReport({ root }, { sweepId: plan.sweep_id, planDigest });
  const report = JSON.parse(fs.readFileSync(folder + '/report.json', 'utf8'));
  const seen = [
    (await readResults(root, plan)).length,
    (await new SweepReader(root, plan.sweep_id).read('running')).results.size,
    report.trials.done,
    report.trials.cancelled,
  ];
  process.stdout.write(JSON.stringify(seen));
}
main();
`;

test('is planned, reported and read with 256 open files at most', async () => {
  const root = mkdtempSync(join(tmpdir(), 'sa-orch-open-files-'));
  try {
    const trials = Array.from({ length: TRIALS }, (_, i) => plannedTrial(`t${i}`, { seed: i }));
    const plan = tinyPlan(trials);
    const results = trials.map((trial, i) =>
      buildResult(
        plan,
        trial,
        { accuracy: 0.8, f1: 0.9 },
        { status: i % 2 ? 'done' : 'cancelled' },
      ),
    );
    writeFileSync(join(root, 'plan'), JSON.stringify(plan));
    writeFileSync(join(root, 'results'), results.map((each) => JSON.stringify(each)).join('\n'));
    const limited = 'ulimit -n 256 && exec "$0" -e "$1" "$2" "$3"';
    const dist = `${join(packageRoot(), 'dist')}/`;
    const { stdout } = await promisify(execFile)('sh', [
      ...['-c', limited, process.execPath, PROGRAM, dist, root],
    ]);
    expect(JSON.parse(stdout)).toEqual([TRIALS, TRIALS, TRIALS / 2, TRIALS / 2]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
