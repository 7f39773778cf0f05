/**
 * What a person sees while a sweep runs: a block of lines that is redrawn in a terminal, plain
 * lines elsewhere.
 */
import { adapterLabel, adapterName } from '../sweep/adapters';
import type { CohortProgress } from '../store/sweep-store';
import { countTrials } from '../sweep/search';
import { countTrainedRows } from '../sweep/trained-rows';
import type { Cohort, Plan, Trial, TrialResult } from '../sweep/types';
import { plural } from '../base/plural';

/** A sweep at one moment, as its files show it. */
export interface Snapshot {
  plan: Plan;
  results: ReadonlyMap<string, TrialResult>;
  progress: ReadonlyMap<string, readonly CohortProgress[]>;
  /** `running`, `paused`, `finished`, … or `server out of reach`. */
  state: string;
}

/** The name of a trainer that may be the only one. */
const ONLY_TRAINER = 'trainer';
const BAR_CELLS = 10;
/** A progress file unchanged for this long belongs to a worker that is gone. */
const STALE_MS = 30_000;

/** One line for each part of a cohort in progress, and one for the sweep. */
export function renderSnapshot(snapshot: Snapshot, now: number): string[] {
  const { plan, results, progress, state } = snapshot;
  const lines: string[] = [];
  const trials = new Map(plan.trials.map((trial) => [trial.id, trial]));
  for (const cohort of plan.cohorts) {
    const finished = countFinished(cohort, results);
    if (finished === cohort.trials.length) continue;
    // A part that has its results says nothing while others go on.
    const parts = progress.get(cohort.id) ?? [];
    const busy = parts.filter(({ work }) => work !== 'evaluate');
    // It has come as far as it goes.
    if (cohort.until_step !== undefined && busy.length === 0) continue;
    for (const part of busy.length > 0 ? busy : parts.slice(0, 1))
      lines.push(`  ${cohortLine(trials, cohort, part, finished, now)}`);
  }
  const all = [...results.values()];
  const count = (status: TrialResult['status']) =>
    all.filter((result) => result.status === status).length;
  const eta = etaSeconds(snapshot);
  const parts = [
    `${count('done')} of ${countTrials(plan)} trials done`,
    ...(count('failed') > 0 ? [`${count('failed')} failed`] : []),
    ...(count('cancelled') > 0 ? [`${count('cancelled')} cancelled`] : []),
    ...(count('stopped') > 0 ? [`${count('stopped')} stopped early`] : []),
    ...(eta === null || all.length === countTrials(plan) ? [] : [`ETA ${formatDuration(eta)}`]),
    state,
  ];
  return [...lines, `  ${plan.sweep_id}  ${parts.join(' · ')}`];
}

function cohortLine(
  trials: ReadonlyMap<string, Trial>,
  cohort: Cohort,
  progress: CohortProgress,
  finished: number,
  now: number,
): string {
  const fraction = progress.total > 0 ? progress.done / progress.total : 0;
  const losses = Object.values(progress.losses).filter(Number.isFinite);
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const columns = [
    cohort.id.padEnd(14),
    cohortAdapter(trials, cohort).padEnd(12),
    progress.work.padEnd(7),
    bar(fraction),
    `${Math.round(100 * fraction)} %`.padStart(5),
    progress.total > 0
      ? `${progress.done}/${progress.total}`.padEnd(11)
      : progress.state.padEnd(11),
    progress.rows_per_s > 0
      ? `${Math.round(progress.rows_per_s)} rows/s`.padEnd(11)
      : ''.padEnd(11),
    losses.length > 0 ? `loss ${loss.toFixed(3)}` : '',
    finished > 0
      ? `${finished} of ${cohort.trials.length} trials done`
      : plural(cohort.trials.length, 'trial'),
  ];
  const { trials: own = cohort.trials, trainer } = progress;
  if (progress.step !== undefined) columns.push(`to step ${progress.step}`);
  if (own.length < cohort.trials.length && trainer) columns.push(`${own.length} on ${trainer}`);
  else if (trainer !== undefined && trainer !== ONLY_TRAINER) columns.push(`on ${trainer}`);
  if (progress.note) columns.push(progress.note);
  else if (now - progress.updated > STALE_MS)
    columns.push(`no update for ${formatDuration((now - progress.updated) / 1000)}`);
  return columns.join(' ').trimEnd();
}

/** `houlsby-64` if all trials of the cohort agree, else the name that they share. */
function cohortAdapter(trials: ReadonlyMap<string, Trial>, cohort: Cohort): string {
  const adapters = cohort.trials.map((id) => trials.get(id)!.adapter);
  const labels = new Set(adapters.map(adapterLabel));
  return [...(labels.size === 1 ? labels : new Set(adapters.map(adapterName)))].join();
}

function bar(fraction: number): string {
  const full = Math.round(Math.min(1, fraction) * BAR_CELLS);
  return '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
}

function countFinished(cohort: Cohort, results: ReadonlyMap<string, TrialResult>): number {
  return cohort.trials.filter((id) => results.has(id)).length;
}

/**
 * Seconds left at the speed of the cohorts that are training; null if none is. Counts training rows
 * only, which are most of the work.
 */
export function etaSeconds({ plan, results, progress }: Snapshot): number | null {
  let rows = 0;
  let rate = 0;
  const planned = new Map(plan.trials.map((trial) => [trial.id, trial]));
  for (const { id: cohort, trials, until_step: step } of plan.cohorts) {
    const left = new Map(trials.map((id) => [id, 1]));
    for (const part of progress.get(cohort) ?? []) {
      const { work, state, done, total, rows_per_s } = part;
      const reached = (id: string): number => {
        const whole = step ?? planned.get(id)!.train.total_steps;
        return Math.min(part.step ?? whole, whole) / whole;
      };
      const trainingNow = work === 'train' && state === 'running' && total > 0;
      if (trainingNow) rate += rows_per_s;
      for (const id of part.trials ?? trials)
        left.set(
          id,
          trainingNow ? 1 - (reached(id) * done) / total : isTrained(work) ? 1 - reached(id) : 1,
        );
    }
    for (const [id, fraction] of left)
      if (!results.has(id)) rows += fraction * countTrainedRows(planned.get(id)!, step);
  }
  return rate > 0 ? rows / rate : null;
}

const isTrained = (work: string): boolean => ['predict', 'evaluate'].includes(work);

/** `45 s`, `12 min`, `3 h 05 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/**
 * Redraws a block of lines in place. Outside a terminal it prints a line when more than its numbers
 * change.
 */
export class LiveBlock {
  private drawn = 0;
  private lastPlain = new Map<string, number>();

  constructor(
    private readonly stream: NodeJS.WriteStream,
    /**
     * Outside a terminal, a line of which only numbers change is printed again after this many
     * milliseconds.
     */
    private readonly plainEveryMs = 15_000,
  ) {}

  draw(lines: string[], now: number): void {
    if (!this.stream.isTTY) {
      for (const line of lines) {
        const kind = line.replace(/[\d.█░\s]+/g, ' ');
        if (now - (this.lastPlain.get(kind) ?? -Infinity) < this.plainEveryMs) continue;
        this.lastPlain.set(kind, now);
        this.stream.write(`${line}\n`);
      }
      return;
    }
    const width = this.stream.columns || 120;
    this.clear();
    for (const line of lines) this.stream.write(`${[...line].slice(0, width - 1).join('')}\n`);
    this.drawn = lines.length;
  }

  /** Prints lines that stay, above the block. */
  say(text: string): void {
    this.clear();
    this.stream.write(text);
  }

  /** Removes the block from the screen, so that what follows takes its place. */
  clear(): void {
    if (this.drawn > 0) this.stream.write(`\u001b[${this.drawn}A\u001b[0J`);
    this.drawn = 0;
  }
}
