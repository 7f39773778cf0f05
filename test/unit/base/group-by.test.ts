import { groupBy } from '../../../orchestrator/base/group-by';
import { collectTrialWarnings } from '../../../orchestrator/report/warnings';
import { buildPlan, buildResult } from '../support/results';

/** Copying a group for each of its items would copy five billion of them, for some ten seconds. */
const MANY = 100_000;
const LONG_MS = 3000;

function timed<T>(work: () => T): T {
  const began = Date.now();
  const result = work();
  expect(Date.now() - began).toBeLessThan(LONG_MS);
  return result;
}

test('groups and their items are in the order in which they come', () => {
  expect([...groupBy(['b1', 'a1', 'b2'], (item) => item[0])]).toEqual([
    ['b', ['b1', 'b2']],
    ['a', ['a1']],
  ]);
});

test('a large group costs what its items cost, not their square', () => {
  const items = Array.from({ length: MANY }, (_, i) => i);
  expect(timed(() => groupBy(items, () => 'all')).get('all')).toEqual(items);
});

test('so does a warning that all trials of a large sweep have', () => {
  const plan = buildPlan();
  const [first] = plan.trials;
  const warnings = ['undefined_metric: matthews'];
  const result = buildResult(plan, first!, {}, { warnings });
  const trials = Array.from({ length: MANY }, (_, i) => ({ ...first!, id: `t${i}` }));
  const results = new Map(trials.map(({ id }) => [id, result]));
  const found = timed(() => collectTrialWarnings({ ...plan, trials }, results));
  expect(found.map(({ warning, trials: { length } }) => [warning, length])).toEqual([
    [warnings[0], MANY],
  ]);
});
