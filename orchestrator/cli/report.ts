/** `sa-orch report`: the report of a sweep, from its result files, at any time. */
import { Command } from 'commander';
import { measureBaselines } from '../report/baselines';
import { renderTable } from '../report/table';
import { writeReport } from '../report/write';
import { readResults } from '../store/sweep-results';
import { readPlan } from '../store/plan-store';
import { countTrials } from '../sweep/search';
import { findSweep } from './find-place';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printText, runAction } from './output';

export function reportCommand(): Command {
  const command = new Command('report')
    .description("write and show a sweep's report from the results so far; needs no services")
    .argument(
      '<sweep>',
      'the id that `start` printed, or its beginning; `sa-orch status` lists them',
    )
    .addHelpText('after', '\nExample:\n  sa-orch report glue-7f3a12cd');
  return addJsonOption(addPlaceOptions(command)).action(
    (word: string, options: PlaceOptions & { json?: boolean }) =>
      runAction(options.json === true, async () => {
        const { sweepId, root } = await findSweep(word, options);
        const plan = await readPlan(root, sweepId);
        const results = await readResults(root, plan);
        // Shown first, because whoever may only read the artifact root wants to see it, too.
        const { columns } = process.stdout;
        if (!options.json)
          printText(`${renderTable(plan, results, measureBaselines(root, plan), columns)}\n`);
        const { files } = await writeReport(plan, results, root);
        if (options.json)
          return printJson({ sweep_id: sweepId, trials: countTrials(plan), files, results });
        for (const file of files) process.stdout.write(`${file}\n`);
      }),
  );
}
