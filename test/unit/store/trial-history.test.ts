import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePlan } from '../../../orchestrator/store/plan-store';
import { writeResult } from '../../../orchestrator/store/sweep-store';
import { readHistory } from '../../../orchestrator/store/trial-history';
import { buildPlan, buildResult } from '../support/results';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-history-'));
afterAll(() => rmSync(root, { recursive: true }));

test('every trial is there once, with its sweeps; those that are done first', async () => {
  expect(await readHistory(join(root, 'empty'))).toEqual([]);
  const [one, two] = [buildPlan({ seeds: [1] }), buildPlan({ seeds: [1, 2] })];
  for (const plan of [one, two]) await writePlan(root, plan);
  const done = one.trials[1]!;
  await writeResult(root, one.sweep_id, buildResult(one, done, { accuracy: 0.8 }));
  const history = await readHistory(root);
  expect(history).toHaveLength(6);
  expect(history[0]).toMatchObject({
    trial_id: done.id,
    config: done,
    result: { metrics: { accuracy: 0.8 } },
    when: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
    sweeps: [one.sweep_id, two.sweep_id].sort(),
  });
  expect(history.slice(1).map(({ when }) => when)).toEqual([null, null, null, null, null]);
});

test('a broken file is told of its trial, and hides no other', async () => {
  const plan = buildPlan({ seeds: [3] });
  const [first, second] = plan.trials;
  for (const trial of [first!, second!])
    await writeResult(root, plan.sweep_id, buildResult(plan, trial, { accuracy: 0.8 }));
  const path = join(root, 'trials', first!.id, 'result.json');
  writeFileSync(path, '{"bro');
  const history = await readHistory(root);
  const find = (id: string) => history.find(({ trial_id }) => trial_id === id)!;
  expect(find(second!.id)).toMatchObject({ result: { status: 'done' }, problems: [] });
  expect(find(first!.id)).toMatchObject({
    ...{ result: null, when: null },
    problems: [expect.stringMatching(`^${path}: is not complete JSON .*; remove it to go on$`)],
  });
});
