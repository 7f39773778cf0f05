import {
  buildMatrix,
  renderMatrixLatex,
  renderMatrixMarkdown,
} from '../../../orchestrator/report/matrix';
import { summarize } from '../../../orchestrator/report/summary';
import type { TaskSummary } from '../../../orchestrator/report/summary-types';
import { decideSearch } from '../../../orchestrator/sweep/search';
import type { Plan } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

const searchResults = (plan: Plan) =>
  plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 0.5, f1: 0.5 }));

/** Accuracies by task and row (dense, snip 40 %, snip 80 %), around which four seeds lie. */
function matrixOf(accuracies: number[][]) {
  const plan = buildPlan({ tasks: ['mrpc', 'rte'], seeds: [1, 2, 3, 4] });
  const results = plan.trials.map((trial, i) => {
    const row = accuracies[Math.floor(i / 12)]![Math.floor(i / 4) % 3]!;
    const noise = [0, 0.004, -0.004, 0.001][(i + Math.floor(i / 4)) % 4]!;
    return buildResult(plan, trial, { accuracy: row + noise, f1: 0.9 });
  });
  return buildMatrix(summarize(plan, results, {}));
}

test('has rows by tasks, bold only where one row is better than all others for sure', () => {
  const matrix = matrixOf([
    [0.8, 0.9, 0.7],
    [0.6, 0.601, 0.5],
  ]);
  expect(renderMatrixMarkdown(matrix)).toBe(
    "All rows of the available data sets, from the user's files. 24 of 24 trials are done.\n\n" +
      '|  | mrpc, accuracy | rte, accuracy |\n| --- | ---: | ---: |\n' +
      '| dense, bottleneck 64 | 80.0 ± 0.3 | 60.0 ± 0.3 |\n' +
      '| snip 40 %, bottleneck 64 | **90.0 ± 0.3** | 60.1 ± 0.3 |\n' +
      '| snip 80 %, bottleneck 64 | 70.0 ± 0.3 | 50.0 ± 0.3 |\n\n' +
      'Mean × 100 over n = 4 seeds; ± is the sample standard deviation over seeds, neither a ' +
      'standard error nor an interval. Bold: better than every other row of its column by ' +
      'two-sided paired t-tests over seeds, p < 0.05 after Holm’s correction for the other rows ' +
      'of that column; where none is bold, the data do not tell.\n',
  );
});

test('in LaTeX is a table of booktabs, with names escaped', () => {
  const latex = renderMatrixLatex(
    matrixOf([
      [0.8, 0.9, 0.7],
      [0.6, 0.6, 0.5],
    ]),
  );
  expect(latex).toContain(
    "% All rows of the available data sets, from the user's files. 24 of 24 ",
  );
  expect(latex).toContain('\\begin{tabular}{lrr}\n  \\toprule\n   & mrpc, accuracy & rte, ');
  expect(latex).toContain(
    '  snip 40 \\%, bottleneck 64 & $\\mathbf{90.0 \\pm 0.3}$ & $60.0 \\pm 0.3$ \\\\\n',
  );
});

test('cells say their own number of seeds if those differ, and degenerate ones are marked', () => {
  const plan = buildPlan({ seeds: [1, 2, 3] });
  const results = plan.trials
    .slice(0, 8)
    .map((trial, i) =>
      buildResult(
        plan,
        trial,
        { accuracy: 0.5 + i / 100, f1: 0.9 },
        i === 7 ? { warnings: ['layers_emptied: layers.0.ffn.up'] } : {},
      ),
    );
  const matrix = buildMatrix(summarize(plan, results, {}));
  const markdown = renderMatrixMarkdown(matrix);
  expect(markdown).toContain('| dense, bottleneck 64 | 51.0 ± 1.0 (n = 3) |');
  expect(markdown).toContain('| snip 80 %, bottleneck 64 | 56.5 ± 0.7† (n = 2) |');
  expect(markdown).toContain('over n = 2 to 3 seeds');
  expect(markdown).toContain('†: degenerate, so the number means little.\n');
  expect(renderMatrixLatex(matrix)).toContain('$56.5 \\pm 0.7^{\\dagger}$ (n = 2)');
});

test('columns of demo rows say so, whoever copies the table alone', () => {
  const plan = buildPlan({}, { source: 'demo' });
  const results = plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 0.5, f1: 0.9 }));
  const matrix = buildMatrix(summarize(plan, results, {}));
  expect(renderMatrixMarkdown(matrix)).toContain('|  | mrpc (demo rows), accuracy |');
  expect(renderMatrixLatex(matrix)).toContain('   & mrpc (demo rows), accuracy ');
});

test('nothing is bold while a search has rows to come', () => {
  const plan = searchPlan();
  const summary = summarize(decideSearch(plan, searchResults(plan))!, [], {});
  const [task] = summary.tasks as [TaskSummary];
  const rows = task.rows.slice(0, 2).map((row, i) => ({
    ...row,
    done: 3,
    metrics: { accuracy: { mean: 0.7 + i / 10, std: 0.01, n: 3 } },
    by_seed: [1, 2, 3].map((seed): [number, Record<string, number>] => [
      seed,
      { accuracy: 0.7 + i / 10 + (seed * (i + 1)) / 1000 },
    ]),
  }));
  const render = (open: boolean) => {
    const choices = task.search!.choices.map((choice) =>
      open ? { ...choice, chosen: undefined } : choice,
    );
    const search = { ...task.search!, choices } as TaskSummary['search'];
    return renderMatrixMarkdown(
      buildMatrix({ ...summary, tasks: [{ ...task, rows, search: search! }] }),
    );
  };
  expect(render(false)).toContain('**80.0 ± 1.0**');
  expect(render(true)).not.toContain('**');
});

test('a column with a row without a result has no bold cell', () => {
  const plan = buildPlan({ seeds: [1, 2, 3] });
  const results = plan.trials
    .slice(0, 6)
    .map((trial, i) => buildResult(plan, trial, { accuracy: 0.5 + i / 10, f1: 0.9 }));
  const markdown = renderMatrixMarkdown(buildMatrix(summarize(plan, results, {})));
  expect(markdown).toContain('6 of 9 trials are done.');
  expect(markdown).toContain('| snip 80 %, bottleneck 64 | – |');
  expect(markdown).not.toContain('**');
});
