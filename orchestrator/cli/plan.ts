/** `sa-orch plan`: shows what a sweep would do, without doing it. */
import { Command } from 'commander';
import { adapterLabel } from '../sweep/adapters';
import { describeEvaluation } from '../report/methods';
import { formatSetting } from '../report/format';
import { OFFICIAL_RULES } from '../report/notes';
import { axisTitle, findVaried, formatValue, settingsReader } from '../report/axes';
import { controlWords, maskWords } from '../report/variants';
import { expectedPrecision } from '../runtime/expected-precision';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { readDecided } from '../store/decided-plan';
import { findDataset } from '../sweep/lookup';
import type { AxisValues, Budget, Plan, Trial } from '../sweep/types';
import { planWarnings } from '../sweep/warnings';
import { countBudget } from '../tasks/budget';
import { compareWithLast, sayLastSweep } from './last-sweep';
import { formatDuration } from './live-view';
import {
  addJsonOption,
  addPlaceOptions,
  addSweepOptions,
  type PlaceOptions,
  type SweepOptions,
} from './options';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { sayPrecision } from './precision';
import { count } from './data-lines';
import { countRemaining, type Remaining } from './remaining';
import { describeSize, planRequest, readRequest, sayExtensions } from './request';

type PlanOptions = SweepOptions & PlaceOptions & { sweep: string; json?: boolean };

export function planCommand(): Command {
  const command = new Command('plan')
    .description(
      'list every trial of a sweep with its sizes, and estimate the time; starts nothing',
    )
    .requiredOption('--sweep <name|file>', 'name of a sweep in configs/sweeps, or a file')
    .addHelpText(
      'after',
      '\nExample:\n  sa-orch plan --sweep glue --profile quick\n' +
        '\nkept is exact, except with `compat: official`: the published code also cuts every ' +
        'weight whose score equals the last one cut.',
    );
  return addJsonOption(addPlaceOptions(addSweepOptions(command))).action((options: PlanOptions) =>
    runAction(options.json === true, async () => {
      const request = readRequest(options.sweep, options);
      const onProgress = options.json ? progressLineOnStderr : progressLine;
      const planWith = await planRequest(request, options, onProgress);
      const standard = await expectedPrecision(stateDirectory(options.stateDir));
      const root = artifactRoot(options.root);
      const plan = await readDecided(root, planWith(standard.precision));
      sayPrecision(request.config.precision, standard, onProgress);
      sayExtensions(plan, onProgress);
      const trials = plan.trials.map((trial) => ({ ...trial, budget: trialBudget(plan, trial) }));
      const remaining = await countRemaining(plan, root);
      const last = await compareWithLast(root, plan, request.asked);
      if (options.json)
        return printJson({
          ...plan,
          trials,
          warnings: planWarnings(plan),
          done: remaining.done,
          failed: remaining.failed,
          stopped: remaining.stopped,
          estimated_seconds: remaining.seconds,
          ...(remaining.search && { search_seconds: remaining.search.seconds }),
          last_sweep: last,
        });
      sayLastSweep(last, onProgress, false);
      printTrials(plan, trials);
      process.stdout.write(
        `\n${plan.sweep_id}: ${describeSize(plan)}, ${describeRemaining(remaining)}\n` +
          'kept: trained weights, biases and norms that are not masked; the head is counted ' +
          'separately\nstored: bytes of the adapter file\n' +
          (plan.evaluate ? `${describeEvaluation(plan.evaluate)}\n` : '') +
          (plan.trials.some(({ prune }) => prune.rules === 'official')
            ? `${OFFICIAL_RULES}\n`
            : ''),
      );
    }),
  );
}

function trialBudget(plan: Plan, trial: Trial): Budget {
  return countBudget(trial, plan.backbone, findDataset(plan, trial.dataset));
}

/** Values in which trials of one data set differ are columns, but for the steps, which all have. */
function readAxes(plan: Plan): { axes: string[]; read: (trial: Trial) => AxisValues } {
  const readers = new Map(
    plan.datasets.map((dataset) => {
      const trials = plan.trials.filter((trial) => trial.dataset === dataset.digest);
      const read = settingsReader(trials, dataset, plan.search?.over);
      return [dataset.digest, { read, varied: findVaried(trials.map(read)) }];
    }),
  );
  const varied = [...readers.values()].flatMap((reader) => reader.varied);
  return {
    axes: [...new Set(varied)].filter((key) => key !== 'steps'),
    read: (trial) => readers.get(trial.dataset)!.read(trial),
  };
}

function printTrials(plan: Plan, trials: (Trial & { budget: Budget })[]): void {
  const { axes, read } = readAxes(plan);
  const rows = trials.map((trial) => [
    trial.id,
    findDataset(plan, trial.dataset).held_out ? `${trial.task}, held out` : trial.task,
    adapterLabel(trial.adapter),
    [trial.prune.pruner, ...maskWords(trial.prune), ...controlWords(trial.prune)].join(' '),
    formatSetting(trial.prune.sparsity),
    ...axes.map((key) => formatValue(read(trial)[key])),
    String(trial.seed),
    count(trial.train.total_steps),
    count(trial.budget.trainable),
    count(trial.budget.kept),
    count(trial.budget.head),
    count(trial.budget.stored_bytes),
  ]);
  const header = [
    'trial',
    'task',
    'adapter',
    'pruner',
    'sparsity',
    ...axes.map(axisTitle),
    'seed',
    'steps',
    'trainable',
    'kept',
    'head',
    'stored',
  ];
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const numbersFrom = header.indexOf('sparsity');
  process.stdout.write('\n');
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, column) =>
      column < numbersFrom ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    process.stdout.write(`${cells.join('  ')}\n`);
  }
}

/** `8 done already, about 9 min of training left, 4 min of them for the search, at the speed …`. */
function describeRemaining(remaining: Remaining): string {
  const { done, failed, stopped, left, seconds, search } = remaining;
  const ended = [
    ...(done > 0 ? [`${done} done already`] : []),
    ...(stopped > 0 ? [`${stopped} stopped early`] : []),
    ...(failed > 0 ? [`${failed} failed (start reruns them with --retry-failed)`] : []),
  ];
  const rest = done + failed + stopped > 0 ? ' left' : '';
  const ofSearch =
    search?.seconds == null ? ' ' : `, ${formatDuration(search.seconds)} of it for the search, `;
  const time =
    seconds === null
      ? 'time unknown until one trial of each task has run here'
      : `about ${formatDuration(seconds)} of training${rest}${ofSearch}at the speed measured here`;
  return [...ended, left === 0 ? 'nothing left to run' : time].join(', ');
}
