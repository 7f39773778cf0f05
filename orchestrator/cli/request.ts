/** Makes a plan from the command line: what `start`, `run` and `plan` share. Starts no service. */
import { basename } from 'node:path';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { askForFile, configFromAsked } from '../config/asked';
import { planExtended } from '../config/extended-plan';
import { describeExtensions } from '../config/extension';
import type { SweepConfig } from '../config/sweep-config';
import { nameAfter } from '../config/sweep-file';
import { readExtensions } from '../store/asked';
import { resolveDatasets } from '../tasks/resolve';
import { resolveBackbone } from '../runtime/backbone';
import { detectGpu } from '../runtime/gpu';
import { artifactRoot } from '../runtime/paths';
import { planSweep } from '../sweep/plan';
import { nameRungs } from '../report/rung-words';
import { countTrials, listSearchTrials } from '../sweep/search';
import { maskWarnings } from '../sweep/warnings';
import type { Asked, Extension, Plan } from '../sweep/types';
import type { Added } from './added-trials';
import { sayData } from './data-lines';
import type { PlaceOptions, SweepOptions } from './options';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';

/** Where no trainer says what it prefers; on a CPU, trainers prefer the same. */
export const COHORT_SIZE = 10;

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
  asked: Asked;
  config: SweepConfig;
  profileReason: string | null;
  /** Of a sweep that is there: its plan is made from what is stored. */
  stored?: { planWith: PlanWith; extension?: Extension; added?: Added };
}

/**
 * Reads a sweep file. If the user names no profile, a machine without a GPU gets `quick` if the
 * file has it.
 */
export function readRequest(nameOrFile: string, options: SweepOptions): Request {
  const settings = {
    backbone: options.backbone,
    precision: options.precision,
    tasks: options.tasks?.map((name) => ({ name })),
    seeds: options.seeds,
    rows: options.rows,
  };
  const read = (profile: string | null, profileReason: string | null): Request => {
    const asked = askForFile(nameOrFile, profile, settings);
    return { asked, config: configFromAsked(asked), profileReason };
  };
  const request = read(options.profile ?? null, null);
  const quick = !options.profile && request.config.profiles.some(({ name }) => name === 'quick');
  if (!quick || detectGpu()) return request;
  return read('quick', 'no GPU here; --profile full for all rows and tasks');
}

/**
 * Finds backbone and data, prints a progress line for each and for anything surprising, and returns
 * a function that plans the sweep given the default precision. Only a trainer knows that default,
 * but whether a plan is valid does not depend on it, so problems are reported here, before any
 * service is started.
 */
export async function planRequest(
  request: Request,
  options: SweepOptions & PlaceOptions,
  onProgress: OnProgress,
): Promise<PlanWith> {
  const { asked, config, profileReason } = request;
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
  const root = artifactRoot(options.root);
  const plan: PlanWith = (defaultPrecision, maxCohort = COHORT_SIZE, largestCohort) => {
    const inputs = {
      ...{ backbone, datasets, maxCohort, defaultPrecision, profileReason },
      ...(largestCohort === undefined ? {} : { largestCohort }),
    };
    const planned = planSweep(config, inputs);
    const extensions = readExtensions(root, planned.sweep_id);
    return extensions.length === 0 ? planned : planExtended(asked, extensions, inputs);
  };
  for (const warning of maskWarnings(plan('float32'))) onProgress('!', 'masks', warning);
  return plan;
}

/** What the file that the user has at hand does not say. */
export function sayExtensions({ sweep_id, extended }: Plan, onProgress: OnProgress): void {
  if (extended === undefined) return;
  const added = describeExtensions(extended);
  onProgress('·', 'extended', `${sweep_id} was extended since it was started, by ${added}`);
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
    const searched = new Set(listSearchTrials(plan));
    const tried = searched.size;
    const lengths = trials
      .filter(({ id }) => searched.has(id))
      .map((each) => each.train.total_steps);
    const [all, choices] = [countTrials(plan), plural(search.choices.length, 'choice')];
    const { rungs, asynchronous } = search.stop_early ?? {};
    const how = asynchronous ? ', without waiting for each other' : '';
    return (
      `${plural(all, 'trial')}: ${tried} of the search for ${choices}` +
      `${rungs ? ` (some are stopped at ${nameRungs(rungs, lengths).join(', ')}${how})` : ''}, ` +
      `${all - tried} of the comparison`
    );
  }
  return `${plural(trials.length, 'trial')} in ${plural(cohorts.length, 'cohort')}`;
}
