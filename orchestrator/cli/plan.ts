/** `sa-orch plan`: shows what a sweep would do, without doing it. */
import { Command } from 'commander';
import { adapterLabel } from '../sweep/adapters';
import { OFFICIAL_RULES } from '../report/format';
import { controlWords, maskWords } from '../report/variants';
import { expectedPrecision } from '../runtime/expected-precision';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { readDoneResult } from '../store/sweep-store';
import { dataWarnings } from '../sweep/data-warnings';
import { findDataset } from '../sweep/lookup';
import type { Budget, Plan, Trial } from '../sweep/types';
import { planWarnings } from '../sweep/warnings';
import { countBudget } from '../tasks/budget';
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
import { describeSize, planRequest, readRequest } from './request';

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
      const plan = planWith(standard.precision);
      sayPrecision(request.config.precision, standard, onProgress);
      const trials = plan.trials.map((trial) => ({ ...trial, budget: trialBudget(plan, trial) }));
      const seconds = await estimateSeconds(plan, artifactRoot(options.root));
      if (options.json)
        return printJson({
          ...plan,
          trials,
          warnings: [...planWarnings(plan), ...plan.datasets.flatMap(dataWarnings)],
          estimated_seconds: seconds,
        });
      printTrials(trials);
      process.stdout.write(
        `\n${plan.sweep_id}: ${describeSize(plan)}, ${estimateText(seconds)}\n` +
          'kept: trained weights, biases and norms that are not masked; the head is counted ' +
          'separately\nstored: bytes of the adapter file\n' +
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

function printTrials(trials: (Trial & { budget: Budget })[]): void {
  const rows = trials.map(({ id, task, adapter, prune, seed, train, budget }) => [
    id,
    task,
    adapterLabel(adapter),
    [prune.pruner, ...maskWords(prune), ...controlWords(prune)].join(' '),
    `${Math.round(prune.sparsity * 1000) / 10} %`,
    String(seed),
    count(train.total_steps),
    count(budget.trainable),
    count(budget.kept),
    count(budget.head),
    count(budget.stored_bytes),
  ]);
  const header = [
    'trial',
    'task',
    'adapter',
    'pruner',
    'sparsity',
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

/**
 * Estimated from the speed of finished trials of the same task under this root; null if some task
 * has none.
 */
async function estimateSeconds(plan: Plan, root: string): Promise<number | null> {
  const speeds = new Map<string, number>();
  for (const trial of plan.trials) {
    const result = await readDoneResult(root, trial.id);
    // Trials of one cohort share the machine: their rows add up.
    if (result) speeds.set(trial.task, result.train.rows_per_s * result.train.cohort);
  }
  let seconds = 0;
  for (const { task, train } of plan.trials) {
    const speed = speeds.get(task);
    if (!speed) return null;
    seconds += (train.total_steps * train.batch_size) / speed;
  }
  return seconds;
}

function estimateText(seconds: number | null): string {
  if (seconds === null) return 'time unknown until one trial of each task has run here';
  return `about ${formatDuration(seconds)} of training at the speed measured here`;
}
