/** `sa-orch compare`: two sweeps' rows against each other, paired by seed. */
import { Command } from 'commander';
import { UserError } from '../base/errors';
import { compareSweeps, type SweepComparison } from '../report/compare-sweeps';
import { formatDifference, metricTitle } from '../report/format';
import { readPlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { listDifferences } from '../sweep/differences';
import { findSweep } from './find-place';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printText, runAction } from './output';

export function compareCommand(): Command {
  const command = new Command('compare')
    .description("show one sweep's difference to another, for each row that both have, by seed")
    .argument('<sweep>', 'the sweep that differences are relative to')
    .argument('<other>', 'the sweep that is compared with it')
    .addHelpText('after', '\nExample:\n  sa-orch compare glue-7f3a12cd glue-28e5c220');
  return addJsonOption(addPlaceOptions(command)).action(
    (word: string, other: string, options: PlaceOptions & { json?: boolean }) =>
      runAction(options.json === true, async () => {
        const sides = [await open(word, options), await open(other, options)] as const;
        const [first, second] = sides;
        const { rows, ...others } = compareSweeps(first, second);
        const changes = listDifferences(first.plan, second.plan);
        const [sweep, its] = sides.map(({ plan }) => plan.sweep_id) as [string, string];
        if (options.json)
          return printJson({ sweep, other: its, differences: changes, rows, ...others });
        if (rows.length === 0)
          throw new UserError(
            `${sweep} and ${its} have no row with results of the same seeds in common`,
            2,
            'A row is the same if task, adapter and pruning are; `sa-orch report` lists them.',
          );
        const changed = changes.length > 0 ? changes.join('; ') : 'the same settings';
        const lines = [
          `${its} − ${sweep}: ${changed}`,
          '',
          ...rows.map(describeRow),
          'intervals are of 95 %, over the seeds of both, not corrected for the number of rows',
          ...nameUnpaired(sweep, others.only_first),
          ...nameUnpaired(its, others.only_second),
        ];
        printText(`${lines.join('\n')}\n`);
      }),
  );
}

async function open(word: string, options: PlaceOptions) {
  const { sweepId, root } = await findSweep(word, options);
  const plan = await readPlan(root, sweepId);
  return { plan, results: await readResults(root, plan) };
}

/** Rows that the other sweep lacks, has no seed of, or has several times. */
const nameUnpaired = (sweep: string, rows: readonly string[]): string[] =>
  rows.length === 0 ? [] : [`in ${sweep} without a counterpart: ${rows.join('; ')}`];

function describeRow({ task, metric, row, difference, changed }: SweepComparison): string {
  const words = changed.length > 0 ? `  (differs in ${changed.join(', ')})` : '';
  return `${task}  ${row}  ${metricTitle(metric)} ${formatDifference(difference)}${words}`;
}
