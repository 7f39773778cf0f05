import {
  buildMatrix,
  renderMatrixLatex,
  renderMatrixMarkdown,
} from '../../../orchestrator/report/matrix';
import { summarize } from '../../../orchestrator/report/summary';
import { buildPlan, buildResult } from '../support/results';

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
      'Mean ± sample standard deviation × 100 over n = 4 seeds. Bold: better than every other ' +
      'row of its column by paired t-tests, corrected by Holm; where none is bold, none is for ' +
      'sure.\n',
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
