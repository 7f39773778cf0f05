/** What the terminal shows besides the numbers: trials of each row, and why some failed. */
import { formatPercent, formatSetting, roundSetting } from '../../../orchestrator/report/format';
import { renderTable } from '../../../orchestrator/report/table';
import { buildPlan, buildResults } from '../support/results';

const plan = buildPlan();
const results = buildResults(plan);
const fail = (count: number, error: (i: number) => string) =>
  results.map((result, i) =>
    i < count ? { ...result, status: 'failed' as const, error: error(i) } : result,
  );

test('the trials of a row stand beside it where they fit, else below the table', () => {
  const [first, second, third] = plan.trials.map(({ id }) => id.slice(0, 8));
  const wide = renderTable(plan, results);
  expect(wide).toContain(`  ${first} ${second} ${third}\n`);
  expect(wide).not.toContain('· trials');
  const narrow = renderTable(plan, results, {}, 110);
  expect(narrow).toContain(`  · trials, by seed\n      dense, bottleneck 64: ${first} ${second}`);
  for (const line of narrow.split('\n').filter((text) => /^ {2}(dense|snip)/.test(text)))
    expect(line.length).toBeLessThanOrEqual(110);
});

test('failures that differ only in numbers are one line, the most frequent first', () => {
  const table = renderTable(
    plan,
    fail(4, (i) => (i === 3 ? 'refused: x' : `loss at step ${i}`)),
  );
  const ids = plan.trials.slice(0, 3).map(({ id }) => id.slice(0, 8));
  expect(table).toContain(
    `5 of 9 trials done, 4 failed\n  3 trials (${ids.join(' ')}): loss at step 0\n  1 trial (`,
  );
  expect(table).toContain(`\`sa-orch logs ${ids[0]}\` says more`);
});

test('few reasons are shown, each cut short; the report has the others', () => {
  const table = renderTable(
    plan,
    fail(5, (i) => `${'abcde'[i]!} `.repeat(400)),
  );
  expect(table).toContain(' a a …\n');
  expect(table).toContain('and 2 other reasons, in the report\n');
});

test('what is set is shown as it is, and a fraction below 1 never as all', () => {
  expect([0.4, 0.125, 1 / 3, 0.0001, 1].map(formatSetting)).toEqual([
    '40 %',
    '12.5 %',
    '33.3333 %',
    '0.01 %',
    '100 %',
  ]);
  expect([0.9999999, 0.99999999999].map(formatSetting)).toEqual(['99.99999 %', '99.999999999 %']);
  expect([0.3, 1 - 0.7, 0.9999999].map((each) => roundSetting(each))).toEqual([
    0.3, 0.3, 0.9999999,
  ]);
  const compare = { pruner: 'snip', sparsity: 0.99999 };
  expect(renderTable(buildPlan({ compare }), [])).toContain('99.999 %');
});

test('what is measured is in whole percents, but for a little and almost all', () => {
  expect([0, 0.004, 0.006, 0.42, 0.994, 0.9999, 1, 1.5].map(formatPercent)).toEqual([
    '0 %',
    '0.4 %',
    '1 %',
    '42 %',
    '99 %',
    '99.99 %',
    '100 %',
    '150 %',
  ]);
});
