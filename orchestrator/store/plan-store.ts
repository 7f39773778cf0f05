/** The files that a plan is in: `sweeps/<sweep id>/plan.json` and its trials' config.json. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../common/durable-files';
import { removeLeftovers } from '../../common/temporary-names';
import { mapBounded } from '../base/bounded';
import { ConfigError } from '../base/errors';
import { brokenFile, parseObject } from '../base/parse-object';
import type { Plan, Trial } from '../sweep/types';
import { stampFile } from './file-stamp';
import { readIfThere } from './read-files';
import { listSweeps, planPath, sweepDir, trialDir } from './sweep-store';

const PLAN_FORMAT: Plan['format'] = 3;

/** By path, the least recently used first. */
const knownPlans = new Map<string, { digest: string; stamp: string | null; plan: Plan }>();
/** A plan of thousands of trials is some megabytes, and a worker runs for weeks. */
const KNOWN_PLANS = 4;

/** The digest by which a workflow recognizes its plan file. */
const digestText = (text: string) => createHash('sha256').update(text).digest('hex');

/** Whether a sweep has a plan here. */
export const hasPlan = (root: string, sweepId: string): boolean =>
  stampFile(planPath(root, sweepId)) !== null;

const serialize = (plan: Plan): string => `${JSON.stringify(plan, null, 2)}\n`;

/** The digest that a plan's file has. */
const digestPlan = (plan: Plan): string => digestText(serialize(plan));

/**
 * A plan that has all of another one and more, as the one that may replace it under a workflow.
 * Written and read again, it has the same digest: what it follows comes last.
 */
export function followPlan(before: Plan, plan: Plan): Plan {
  const followed = { ...plan };
  delete followed.follows;
  return { ...followed, follows: [...(before.follows ?? []), digestPlan(before)] };
}

/** Writes a plan and its trials' configurations, and returns the plan file's digest. */
export async function writePlan(root: string, plan: Plan): Promise<string> {
  const text = serialize(plan);
  const folder = sweepDir(root, plan.sweep_id);
  for (const each of [folder, join(folder, 'progress')]) removeLeftovers(each);
  await mapBounded(plan.trials, (trial) => writeConfig(root, trial));
  await writeDurably(planPath(root, plan.sweep_id), text);
  return digestText(text);
}

/** Leaves the file alone if it is as it should be, because thousands of writes take a minute. */
async function writeConfig(root: string, trial: Trial): Promise<void> {
  const path = join(trialDir(root, trial.id), 'config.json');
  const text = `${JSON.stringify(trial, null, 2)}\n`;
  if ((await readIfThere(path)) !== text) await writeDurably(path, text);
}

/**
 * Reads a plan, again only if its file has changed. With a digest, refuses a file with another one,
 * but for a plan that follows from it, and does not even look at the file of a known digest.
 *
 * @throws ConfigError if there is no plan, or it is of another version of this program
 */
export async function readPlan(root: string, sweepId: string, digest?: string): Promise<Plan> {
  const path = planPath(root, sweepId);
  const known = knownPlans.get(path);
  if (known && known.digest === digest) return remember(path, known);
  const stamp = stampFile(path);
  if (known && known.stamp === stamp && digest === undefined) return remember(path, known);
  const text = await readIfThere(path);
  if (text === undefined)
    throw new ConfigError({
      where: path,
      message: 'no such plan; `sa-orch status` lists the sweeps under this artifact root',
    });
  const found = digestText(text);
  // Equal content gives the same object, by which a reader recognizes the plan.
  const plan = known?.digest === found ? known.plan : parsePlan(path, text);
  if (digest !== undefined && found !== digest && !plan.follows?.includes(digest)) {
    throw new ConfigError({
      where: path,
      message: 'changed since the sweep was started; start the sweep again to run the changed plan',
    });
  }
  return remember(path, { digest: found, stamp, plan });
}

/** The plan that was last written for a sweep of this name; null if none can be read. */
export async function readLastPlan(root: string, name: string): Promise<Plan | null> {
  const stamped = (await listSweeps(root))
    .filter((id) => id.replace(/-[0-9a-f]{8}$/, '') === name)
    .flatMap((id) => {
      const found = statSync(planPath(root, id), { throwIfNoEntry: false });
      return found === undefined ? [] : [{ id, at: found.mtimeMs }];
    });
  const last = stamped.sort((a, b) => b.at - a.at)[0];
  if (last === undefined) return null;
  try {
    return await readPlan(root, last.id);
  } catch (error) {
    // One of another version, for example, has nothing to do with the sweep that is asked for.
    if (error instanceof ConfigError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function remember(path: string, known: { digest: string; stamp: string | null; plan: Plan }): Plan {
  knownPlans.delete(path);
  knownPlans.set(path, known);
  for (const oldest of [...knownPlans.keys()].slice(0, -KNOWN_PLANS)) knownPlans.delete(oldest);
  return known.plan;
}

function parsePlan(path: string, text: string): Plan {
  const plan = parseObject<Omit<Plan, 'follows'> & { follows?: string | string[] }>(path, text);
  const format: number = plan.format;
  if (format !== PLAN_FORMAT) {
    const message =
      `has format ${format}, from another version of sa-orch; ` +
      `must be ${PLAN_FORMAT}: start the sweep again`;
    throw new ConfigError({ where: path, message });
  }
  const { trials, cohorts, datasets, backbone } = plan;
  if (![trials, cohorts, datasets].every(Array.isArray) || !backbone)
    throw brokenFile(path, 'is not a whole plan');
  const { follows, ...rest } = plan;
  // Plans of earlier versions name only the one before.
  return follows === undefined ? rest : { ...rest, follows: [follows].flat() };
}
