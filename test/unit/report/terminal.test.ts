/** What the terminal shows besides the numbers: trials of each row, and why some failed. */
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
