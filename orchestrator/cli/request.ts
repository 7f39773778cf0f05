/** Makes a plan from the command line: what `start`, `run` and `plan` share. Starts no service. */
import { basename } from 'node:path';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { loadSweepConfig } from '../config/load';
import type { SweepConfig } from '../config/sweep-config';
import { nameAfter } from '../config/sweep-file';
import { resolveDatasets } from '../tasks/resolve';
import { resolveBackbone } from '../runtime/backbone';
import { detectGpu } from '../runtime/gpu';
import { planSweep } from '../sweep/plan';
import { formatPercent } from '../report/format';
import { countTrials, listSearchTrials } from '../sweep/search';
import { maskWarnings } from '../sweep/warnings';
import type { Plan } from '../sweep/types';
import { sayData } from './data-lines';
import type { SweepOptions } from './options';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';

/** Where no trainer says what it prefers; on a CPU, trainers prefer the same. */
const COHORT_SIZE = 10;

/** Plans a sweep for trainers with this default precision that prefer cohorts of this size. */
export type PlanWith = (
  defaultPrecision: PrecisionName,
  maxCohort?: number,
  largestCohort?: number,
) => Plan;

/** A larger number is hardly meant as a number of seeds. */
const MANY_SEEDS = 20;

/** A sweep's configuration, and why its profile was chosen if the user named none. */
export interface Request {
  config: SweepConfig;
  profileReason: string | null;
}

/**
 * Reads a sweep file. If the user names no profile, a machine without a GPU gets `quick` if the
 * file has it.
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
 * Finds backbone and data, prints a progress line for each and for anything surprising, and returns
 * a function that plans the sweep given the default precision. Only a trainer knows that default,
 * but whether a plan is valid does not depend on it, so problems are reported here, before any
 * service is started.
 */
export async function planRequest(
  request: Request,
  options: SweepOptions,
  onProgress: OnProgress,
): Promise<PlanWith> {
  const { config, profileReason } = request;
  const backbone = await resolveBackbone(config.backbone, { onProgress });
  onProgress('✓', 'backbone', `${backbone.name}, ${(backbone.weights / 1e6).toFixed(1)} M weights`);
  const datasets = await resolveDatasets(config, {
    dataDir: options.dataDir,
    env: process.env,
    backbone,
    onLongWork: (text) => onProgress('…', 'data', text),
  });
  sayName(config, onProgress);
  saySeeds(config, onProgress);
  sayData(datasets, profileNote(config, profileReason), onProgress);
  const plan: PlanWith = (defaultPrecision, maxCohort = COHORT_SIZE, largestCohort) =>
    planSweep(config, {
      backbone,
      datasets,
      maxCohort,
      ...(largestCohort === undefined ? {} : { largestCohort }),
      defaultPrecision,
      profileReason,
    });
  for (const warning of maskWarnings(plan('float32'))) onProgress('!', 'masks', warning);
  return plan;
}

/** A name that the user finds in no file, because the file's own cannot be part of an id. */
function sayName({ file, name }: SweepConfig, onProgress: OnProgress): void {
  if (file === null || name !== nameAfter(file)) return;
  const own = basename(file);
  if ([`${name}.yaml`, `${name}.yml`].includes(own)) return;
  onProgress('·', 'name', `${name}, after the file ${JSON.stringify(own)}; name: sets another one`);
}

/** `seeds: 3` in a file is the seed 3, where three seeds are meant as often. */
function saySeeds({ file, seeds: [seed, ...others] }: SweepConfig, onProgress: OnProgress): void {
  if (file === null || others.length > 0 || seed === undefined || seed < 2) return;
  const many = seed <= MANY_SEEDS ? seed : 3;
  onProgress('·', 'seeds', `one seed, number ${seed}; ${many} seeds are written 1-${many}`);
}

function profileNote({ profile }: SweepConfig, reason: string | null): string {
  if (profile === null) return '';
  return ` (profile ${profile}${reason === null ? '' : `: ${reason}`})`;
}

/** `20 trials in 2 cohorts`; `39 trials: 24 of the search for 6 choices, 15 of the comparison`. */
export function describeSize(plan: Plan): string {
  const { trials, cohorts, search } = plan;
  if (search !== undefined) {
    const tried = new Set(listSearchTrials(plan)).size;
    const [all, choices] = [countTrials(plan), plural(search.choices.length, 'choice')];
    const rungs = search.stop_early?.rungs.map(formatPercent);
    return (
      `${plural(all, 'trial')}: ${tried} of the search for ${choices}` +
      `${rungs ? ` (some are stopped at ${rungs.join(', ')})` : ''}, ` +
      `${all - tried} of the comparison`
    );
  }
  return `${plural(trials.length, 'trial')} in ${plural(cohorts.length, 'cohort')}`;
}
