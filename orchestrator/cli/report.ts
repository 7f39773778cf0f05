/** `sa-orch report`: the report of a sweep, from its result files, at any time. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { measureBaselines } from '../report/baselines';
import { buildMatrix, renderMatrixLatex, renderMatrixMarkdown } from '../report/matrix';
import { summarize } from '../report/summary';
import { renderTable } from '../report/table';
import { writeReport } from '../report/write';
import { readResults } from '../store/sweep-results';
import { readPlan } from '../store/plan-store';
import { countTrials } from '../sweep/search';
import { findSweep } from './find-place';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printText, runAction } from './output';

const FORMATS = ['table', 'markdown', 'latex', 'json', 'csv'] as const;
type Format = (typeof FORMATS)[number];
const MATRICES = { markdown: renderMatrixMarkdown, latex: renderMatrixLatex };
const FILES = { json: 'report.json', csv: 'results.csv' };

export function reportCommand(): Command {
  const command = new Command('report')
    .description("write and show a sweep's report from the results so far; needs no services")
    .argument(
      '<sweep>',
      'the id that `start` printed, or its beginning; `sa-orch status` lists them',
    )
    .addOption(
      new Option(
        '--format <name>',
        'what is printed: the table for a terminal; rows against tasks for Markdown or LaTeX; ' +
          'report.json; results.csv',
      )
        .choices(FORMATS)
        .default('table'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  sa-orch report glue-7f3a12cd\n' +
        '  sa-orch report glue-7f3a12cd --format latex > table.tex',
    );
  return addJsonOption(addPlaceOptions(command)).action(
    (word: string, options: PlaceOptions & { json?: boolean; format: Format }) =>
      runAction(options.json === true, async () => {
        const { sweepId, root } = await findSweep(word, options);
        const plan = await readPlan(root, sweepId);
        const results = await readResults(root, plan);
        // Shown first, because whoever may only read the artifact root wants to see it, too.
        const { columns } = process.stdout;
        const { format } = options;
        const isTable = format === 'table';
        if (!options.json && isTable)
          printText(`${renderTable(plan, results, measureBaselines(root, plan), columns)}\n`);
        if (!options.json && (format === 'markdown' || format === 'latex'))
          process.stdout.write(MATRICES[format](buildMatrix(summarize(plan, results, {}))));
        const { files } = await writeReport(plan, results, root);
        if (options.json)
          return printJson({ sweep_id: sweepId, trials: countTrials(plan), files, results });
        if (format === 'json' || format === 'csv')
          process.stdout.write(readFileSync(files.find((file) => file.endsWith(FILES[format]))!));
        if (isTable) for (const file of files) process.stdout.write(`${file}\n`);
      }),
  );
}
