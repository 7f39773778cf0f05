/** Rows against tasks: the matrix that a paper prints. Pure. */
import { groupBy } from '../base/group-by';
import {
  dataStatement,
  DEGENERATE_MARK,
  formatPoints,
  isDegenerate,
  metricTitle,
  rowTitle,
} from './format';
import { correctByHolm, pairedDifference, type Mean } from './statistics';
import type { SweepSummary, TaskSummary } from './summary-types';

export interface Matrix {
  /** What its rows were measured on, and how much of the sweep is there. */
  statement: string;
  /** isBestStep: its metrics are of each trial's best evaluation. */
  columns: { task: string; metric: string; isDemo: boolean; isBestStep: boolean }[];
  rows: { title: string; cells: (MatrixCell | null)[] }[];
}

export interface MatrixCell {
  mean: Mean;
  /** Whether the table of its task marks the row. */
  isDegenerate: boolean;
  /** Better than every other row of its column, by tests that Holm corrected. */
  isBest: boolean;
}

/** α of the tests that make a cell bold. */
const ALPHA = 0.05;

/** The deciding metric of each row, by task. Rows with the same title are one. */
export function buildMatrix(summary: SweepSummary): Matrix {
  const { tasks, trials } = summary;
  const shown = tasks.filter(({ rows }) => rows.length > 0);
  const titles = [...new Set(shown.flatMap(({ rows }) => rows.map(rowTitle)))];
  const best = new Map(shown.map((task) => [task, findBest(task)]));
  return {
    statement: `${dataStatement(summary)} ${trials.done} of ${trials.planned} trials are done.`,
    columns: shown.map(({ task, metrics, evaluate }) => ({
      task,
      metric: metricTitle(metrics[0]!),
      isBestStep: evaluate?.report === 'best' && evaluate.lacking === 0,
      isDemo: summary.datasets.some((each) => each.task === task && each.source === 'demo'),
    })),
    rows: titles.map((title) => ({
      title,
      cells: shown.map((task) => {
        const row = task.rows.find((each) => rowTitle(each) === title);
        const mean = row?.metrics[task.metrics[0]!];
        return row && mean
          ? { mean, isDegenerate: isDegenerate(row), isBest: best.get(task) === title }
          : null;
      }),
    })),
  };
}

/**
 * The title of the row that is better than every other one of a task; null: the data do not tell,
 * or rows are still to come.
 */
function findBest({ rows, metrics, search }: TaskSummary): string | null {
  const deciding = metrics[0]!;
  if (search?.choices.some(({ chosen }) => chosen === undefined)) return null;
  const known = rows.filter((row) => row.metrics[deciding] !== undefined);
  const [first, ...others] = known.toSorted(
    (a, b) => b.metrics[deciding]!.mean - a.metrics[deciding]!.mean,
  );
  if (first === undefined || others.length === 0 || others.length < rows.length - 1) return null;
  const values = others.map((other) => {
    const pairs = first.by_seed.flatMap(([seed, own]) => {
      const [, its] = other.by_seed.find(([each]) => each === seed) ?? [];
      return its === undefined ? [] : [own[deciding]! - its[deciding]!];
    });
    return pairedDifference(pairs)?.p ?? 1;
  });
  return correctByHolm(values).every((p) => p < ALPHA) ? rowTitle(first) : null;
}

/** As a Markdown table, with what bold means below. */
export function renderMatrixMarkdown(matrix: Matrix): string {
  const header = ['', ...matrix.columns.map(titleOf)];
  const n = countSeeds(matrix);
  const rows = matrix.rows.map(({ title, cells }) => [
    title,
    ...cells.map((cell) => {
      if (cell === null) return '–';
      const text = showMean(cell.mean, ' ± ');
      const marked = cell.isBest ? `**${text}**` : text;
      return `${marked}${cell.isDegenerate ? DEGENERATE_MARK : ''}${nameSeeds(cell, n)}`;
    }),
  ]);
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'));
  const lines = [header, rule, ...rows].map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  return `${matrix.statement}\n\n${lines.join('\n')}\n\n${explain(matrix)}\n`;
}

/** As a table of LaTeX with the package booktabs. */
export function renderMatrixLatex(matrix: Matrix): string {
  const row = (cells: readonly string[]) => `  ${cells.join(' & ')} \\\\`;
  const header = ['', ...matrix.columns.map((column) => escape(titleOf(column)))];
  const n = countSeeds(matrix);
  const rows = matrix.rows.map(({ title, cells }) =>
    row([
      escape(title),
      ...cells.map((cell) => {
        if (cell === null) return '--';
        const text = showMean(cell.mean, ' \\pm ').replaceAll('−', '-');
        const mark = cell.isDegenerate ? '^{\\dagger}' : '';
        return `$${cell.isBest ? `\\mathbf{${text}}` : text}${mark}$${nameSeeds(cell, n)}`;
      }),
    ]),
  );
  return `${[
    '% \\usepackage{booktabs}',
    `% ${matrix.statement}`,
    `% ${explain(matrix)}`,
    `\\begin{tabular}{l${'r'.repeat(matrix.columns.length)}}`,
    '  \\toprule',
    row(header),
    '  \\midrule',
    ...rows,
    '  \\bottomrule',
    '\\end{tabular}',
  ].join('\n')}\n`;
}

/** Whoever copies the table alone must see that its numbers mean nothing. */
const titleOf = ({ task, metric, isDemo }: Matrix['columns'][number]) =>
  `${task}${isDemo ? ' (demo rows)' : ''}, ${metric}`;

function showMean({ mean, std }: Mean, plusMinus: string): string {
  return [mean, ...(std === null ? [] : [std])].map(formatPoints).join(plusMinus);
}

/** How many seeds its cells have, the fewest first. */
function countSeeds({ rows }: Matrix): number[] {
  const cells = rows.flatMap(({ cells }) => cells.flatMap((cell) => cell ?? []));
  return [...groupBy(cells, ({ mean }) => mean.n).keys()].sort((a, b) => a - b);
}

/** Each cell's own number, unless all have the same. */
const nameSeeds = ({ mean }: MatrixCell, counts: readonly number[]): string =>
  counts.length > 1 ? ` (n = ${mean.n})` : '';

function explain(matrix: Matrix): string {
  const counts = countSeeds(matrix);
  const n = counts.length > 1 ? `${counts[0]} to ${counts.at(-1)}` : String(counts[0] ?? 0);
  const isMarked = matrix.rows.some(({ cells }) => cells.some((cell) => cell?.isDegenerate));
  const best = matrix.columns.filter(({ isBestStep }) => isBestStep);
  return (
    `Mean × 100 over n = ${n} seeds; ± is the sample standard deviation over seeds, neither a ` +
    'standard error nor an interval. Bold: better than every other row of its column by ' +
    'two-sided paired t-tests over seeds, p < 0.05 after Holm’s correction for the other rows ' +
    `of that column; where none is bold, the data do not tell.` +
    (best.length > 0
      ? ` ${best.map(titleOf).join('; ')}: each trial by the best of its evaluations on these rows.`
      : '') +
    (isMarked ? ` ${DEGENERATE_MARK}: degenerate, so the number means little.` : '')
  );
}

const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};
const escape = (text: string): string =>
  text.replaceAll(/[\\~^&%$#_{}]/g, (character) => SPECIAL[character] ?? `\\${character}`);
