/** `sa-orch history`: every trial that was ever run here. */
import { Command } from 'commander';
import { UserError } from '../base/errors';
import { formatValue } from '../report/axes';
import { formatPoints, formatSparsity, metricTitle } from '../report/format';
import { alignColumns } from '../report/table';
import { artifactRoot } from '../runtime/paths';
import { readHistory, type PastTrial } from '../store/trial-history';
import { adapterLabel } from '../sweep/adapters';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printText, runAction } from './output';

const HEADER = ['trial', 'task', 'row', 'lr', 'seed', 'metric', 'when', 'sweeps'];

export function historyCommand(): Command {
  const command = new Command('history')
    .description('list every trial that was ever run here, with its metric, when, and its sweeps')
    .option('--task <name>', 'of this task only')
    .addHelpText('after', '\nExample:\n  sa-orch history --task mrpc');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { json?: boolean; task?: string }) =>
      runAction(options.json === true, async () => {
        const root = artifactRoot(options.root);
        const all = await readHistory(root);
        const trials = options.task
          ? all.filter(({ config }) => config?.task === options.task)
          : all;
        if (options.json) return printJson({ root, trials: trials.map(describeTrial) });
        if (trials.length === 0)
          throw new UserError(`no trial${options.task ? ` of ${options.task}` : ''} in ${root}`, 2);
        const lines = alignColumns([HEADER, ...trials.map(listCells)], HEADER.length - 2);
        const problems = trials.flatMap(({ problems: its }) => its);
        printText(`${[...lines, ...problems].join('\n')}\n`);
      }),
  );
}

function describeTrial({ trial_id, config, result, when, ...more }: PastTrial) {
  return {
    trial_id,
    task: config?.task ?? null,
    variant: config && nameVariant(config),
    learning_rate: config?.train.learning_rate ?? null,
    seed: config?.seed ?? null,
    dataset: config?.dataset ?? null,
    held_out: more.isHeldOut,
    metrics: result?.metrics ?? null,
    when,
    sweeps: more.sweeps,
    problems: more.problems,
  };
}

function listCells({ trial_id, config, result, when, ...more }: PastTrial): string[] {
  // The first metric of a result is the one that decides.
  const [first] = Object.entries(result?.metrics ?? {});
  const without = more.problems.length > 0 ? 'unreadable' : 'not done';
  return [
    trial_id,
    `${config?.task ?? '–'}${more.isHeldOut ? ', held out' : ''}`,
    config ? nameVariant(config) : '–',
    formatValue(config?.train.learning_rate),
    String(config?.seed ?? '–'),
    first ? `${metricTitle(first[0])} ${formatPoints(first[1])}` : without,
    when?.slice(0, 16).replace('T', ' ') ?? '–',
    more.sweeps.join(', '),
  ];
}

/** `snip 40 %, houlsby-64`. */
function nameVariant({ prune, adapter }: NonNullable<PastTrial['config']>): string {
  const pruner = prune.pruner === 'none' ? 'dense' : prune.pruner;
  const mask = [pruner, formatSparsity(prune)].filter((part) => part !== '').join(' ');
  return `${mask}, ${adapterLabel(adapter)}`;
}
