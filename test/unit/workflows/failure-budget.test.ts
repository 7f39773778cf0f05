/** When a sweep stops because its cohorts fail alike. */
import { FailureBudget } from '../../../workflows/failure-budget';

const failure = { reason: 'out_of_memory', message: 'no room for 12 MB' };

test('a cohort that measured trials in mid-training got somewhere', () => {
  const budget = new FailureBudget(2);
  budget.note({ done: 0, failure });
  budget.note({ done: 0, measured: 9 });
  budget.note({ done: 0, failure });
  expect(budget.spent).toBeNull();
  budget.note({ done: 0, failure });
  expect(budget.spent).toContain('2 cohorts failed alike: out_of_memory');
});
