/** Which of a root's trainers a sweep can use, and what it is planned for. */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';
import { askCapabilities } from '../runtime/trainer-health';
import type { Plan } from '../sweep/types';
import {
  defaultPrecision,
  nameMaker,
  preferredCohort,
  type DefaultPrecision,
} from '../trainer-client/capabilities';
import type { PlanWith } from './request';
import { readTrainers, type TrainerSource } from '../trainer-client/registry';

const ANSWER_MS = 15_000;

/** A trainer that answers. */
export interface Candidate {
  trainer: TrainerSource;
  capabilities: Capabilities;
}

/** What a sweep is planned for. */
export interface Choice {
  plan: Plan;
  /** Of one of the trainers that it uses. */
  capabilities: Capabilities;
  standard: DefaultPrecision;
  /** As nameEnvironment says; null if trainers of all kinds are used. */
  kind: string | null;
  /** How many jobs its trainers run at the same time. */
  slots: number;
}

/** Trainers that give the same results up to last digits, and what they can do of the sweep. */
interface Group {
  kind: string;
  standard: DefaultPrecision;
  plan: Plan;
  able: Candidate[];
  /** With reasons. */
  unable: { trainer: TrainerSource; lacking: string[] }[];
}

export interface ChoiceOptions {
  planWith: PlanWith;
  /** What of a plan a trainer cannot do, one sentence each. */
  check: (plan: Plan, candidate: Candidate) => string[];
  mixDevices: boolean;
  /** What to do if none of the trainers, of which this is one, can run it. */
  hint: (capabilities: Capabilities) => string | undefined;
  onProgress: OnProgress;
}

/**
 * The trainers that serve a root and answer.
 *
 * @throws UserError (exit 3) that says why if none does
 */
export async function askTrainers(root: string): Promise<Candidate[]> {
  const { trainers, problems } = await readTrainers(root);
  const answers = await Promise.allSettled(
    trainers.map((trainer) => askCapabilities(trainer, ANSWER_MS)),
  );
  const candidates = answers.flatMap((answer, index) =>
    answer.status === 'fulfilled'
      ? [{ trainer: trainers[index]!, capabilities: answer.value }]
      : [],
  );
  if (candidates.length > 0) return candidates;
  const failure = answers.find((answer) => answer.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  throw new UserError(['no trainer serves ' + root, ...problems].join('\n  '), 3);
}

/**
 * Chooses the kind of trainer with the most slots among those that can run the sweep, and names
 * the trainers that cannot.
 *
 * @throws UserError (exit 2) if none can, with a list of what is missing
 */
export function chooseTrainers(candidates: readonly Candidate[], options: ChoiceOptions): Choice {
  const { mixDevices, onProgress } = options;
  const groups = groupByKind(candidates, options);
  const able = groups.filter((group) => group.able.length > 0);
  if (able.length === 0) throw refuse(candidates, groups, options);
  const chosen = able.reduce((best, group) =>
    countSlots(group.able) > countSlots(best.able) ? group : best,
  );
  for (const { trainer, lacking } of groups.flatMap(({ unable }) => unable))
    onProgress('!', trainer.name, `cannot run this sweep: ${lacking.join('; ')}`);
  const { plan, standard, kind } = chosen;
  const [{ capabilities }] = chosen.able as [Candidate];
  const others = able.filter((group) => group !== chosen).flatMap((group) => group.able);
  const fitting = others.filter((other) => options.check(plan, other).length === 0);
  if (others.length > 0 && !mixDevices) saySetAside(chosen, others, onProgress);
  const used = mixDevices ? [...chosen.able, ...fitting] : chosen.able;
  return { plan, capabilities, standard, kind: mixDevices ? null : kind, slots: countSlots(used) };
}

function groupByKind(
  candidates: readonly Candidate[],
  { planWith, check }: ChoiceOptions,
): Group[] {
  const groups = new Map<string, Group>();
  for (const candidate of candidates) {
    const { trainer, capabilities } = candidate;
    const standard = defaultPrecision(capabilities);
    const kind = nameMaker(capabilities);
    const key = JSON.stringify([kind, standard.precision]);
    const group = groups.get(key) ?? {
      kind,
      standard,
      plan: planWith(standard.precision, preferredCohort(capabilities), capabilities.maxCohort),
      able: [],
      unable: [],
    };
    groups.set(key, group);
    const lacking = check(group.plan, candidate);
    if (lacking.length === 0) group.able.push(candidate);
    else group.unable.push({ trainer, lacking });
  }
  return [...groups.values()];
}

const countSlots = (candidates: readonly Candidate[]): number =>
  candidates.reduce((total, { capabilities }) => total + capabilities.slots, 0);

function saySetAside(
  { kind, able }: Group,
  others: readonly Candidate[],
  onProgress: OnProgress,
): void {
  const names = others.map(
    ({ trainer, capabilities }) => `${trainer.name} (${nameMaker(capabilities)})`,
  );
  onProgress(
    '!',
    'trainers',
    `this sweep uses ${plural(able.length, 'trainer')} of the kind ${kind}; set aside: ` +
      `${names.join(', ')}; --mix-devices uses all`,
  );
}

function refuse(
  candidates: readonly Candidate[],
  groups: readonly Group[],
  { hint }: ChoiceOptions,
): UserError {
  const all = groups.flatMap(({ unable }) => unable);
  const [{ trainer, lacking }] = all as [(typeof all)[number]];
  const [{ capabilities }] = candidates as [Candidate];
  if (all.length === 1)
    return new UserError(
      `the trainer at ${trainer.address} cannot run this sweep:\n  ${lacking.join('\n  ')}`,
      2,
      hint(capabilities),
    );
  const list = all.map((each) => `\n  ${each.trainer.name}: ${each.lacking.join('; ')}`);
  return new UserError(
    `none of ${all.length} trainers can run this sweep:${list.join('')}`,
    2,
    hint(capabilities),
  );
}
