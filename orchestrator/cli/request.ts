/**
 * From what the user typed to a plan: the part that `start`, `run` and `plan` share. Nothing here
 * starts a service.
 */
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { loadSweepConfig } from '../config/load';
import type { SweepConfig } from '../config/sweep-config';
import { benchmarksOf } from '../data/published-tasks';
import { resolveDatasets } from '../data/resolve-datasets';
import { resolveBackbone } from '../runtime/backbone';
import { detectGpu } from '../runtime/gpu';
import { planSweep } from '../sweep/plan';
import { planWarnings } from '../sweep/warnings';
import type { Plan, PlannedDataset } from '../sweep/types';
import type { SweepOptions } from './options';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';

/** Cohorts of this size keep a first result near on a CPU, and leave few passes half full. */
const COHORT_SIZE = 10;

/** A sweep's configuration, and why its profile was chosen where the user named none. */
export interface Request {
  config: SweepConfig;
  profileReason: string | null;
}

/**
 * Reads a sweep file. Without a profile asked for, a machine without a GPU gets `quick` where the
 * file has one.
 */
export function readRequest(nameOrFile: string, options: SweepOptions): Request {
  const overrides = {
    backbone: options.backbone,
    precision: options.precision,
    tasks: options.tasks?.map((name) => ({ name })),
    seeds: options.seeds,
    rows: options.rows,
  } as NonNullable<Parameters<typeof loadSweepConfig>[1]>['overrides'];
  const config = loadSweepConfig(nameOrFile, { profile: options.profile ?? null, overrides });
  const quick = !options.profile && config.profiles.some(({ name }) => name === 'quick');
  if (!quick || detectGpu()) return { config, profileReason: null };
  return {
    config: loadSweepConfig(nameOrFile, { profile: 'quick', overrides }),
    profileReason: 'no GPU here; --profile full for all rows and tasks',
  };
}

/**
 * Finds backbone and data, with a progress line for each and one for what may surprise, and returns
 * what plans the sweep with the precision that holds where the user named none. Only a trainer
 * knows that one; but nothing of a plan can be wrong with one precision and right with another, so
 * what is wrong is said here, before any service.
 */
export async function planRequest(
  request: Request,
  options: SweepOptions,
  onProgress: OnProgress,
): Promise<(defaultPrecision: PrecisionName) => Plan> {
  const { config, profileReason } = request;
  const backbone = await resolveBackbone(config.backbone, { onProgress });
  onProgress('✓', 'backbone', `${backbone.name}, ${(backbone.weights / 1e6).toFixed(1)} M weights`);
  const onManyQuestions = (task: string, questions: number) =>
    onProgress('…', 'data', `${count(questions)} questions of ${task} become windows of tokens`);
  const datasets = await resolveDatasets(config, {
    dataDir: options.dataDir,
    env: process.env,
    backbone,
    onManyQuestions,
  });
  onProgress(
    '✓',
    'data',
    `${datasets.map(describeDataset).join(', ')}${profileNote(config, profileReason)}`,
  );
  for (const note of datasets.flatMap(leftOutNotes)) onProgress('!', 'data', note);
  const demo = datasets.filter(({ source }) => source === 'demo').map(({ task }) => task);
  if (demo.length > 0) {
    const reason = 'no --data-dir, no SA_ORCH_DATA, and the hub was not reached';
    onProgress('!', 'demo rows', `generated here, not ${benchmarksOf(demo)}: ${reason}`);
  }
  const plan = (defaultPrecision: PrecisionName) =>
    planSweep(config, {
      backbone,
      datasets,
      maxCohort: COHORT_SIZE,
      defaultPrecision,
      profileReason,
    });
  for (const warning of planWarnings(plan('float32'))) onProgress('!', 'masks', warning);
  return plan;
}

function describeDataset({ task, splits, source, questions }: PlannedDataset): string {
  const train = splits.find(({ name }) => name === 'train');
  if (!train) return task;
  const rows =
    train.rows < train.of ? `${count(train.rows)} of ${count(train.of)}` : count(train.rows);
  const noun = questions === undefined ? 'rows' : `questions in ${count(train.features!)} windows`;
  return `${task} ${rows} ${source === 'demo' ? 'demo ' : ''}${noun}`;
}

/** What of a published data set is not used. */
function leftOutNotes({ task, splits }: PlannedDataset): string[] {
  return splits
    .filter(({ left_out = 0 }) => left_out > 0)
    .map(
      ({ name, left_out, file }) =>
        `${task} ${name}: ${plural(left_out!, 'row')} left out, whose document or summary is empty (${file})`,
    );
}

function profileNote({ profile }: SweepConfig, reason: string | null): string {
  if (profile === null) return '';
  return ` (profile ${profile}${reason === null ? '' : `: ${reason}`})`;
}

/** 3668 as `3,668`. */
export const count = (n: number) => n.toLocaleString('en-US');
