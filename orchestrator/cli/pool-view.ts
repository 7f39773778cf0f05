/** What the pool knows of trainers, for people: what each does, and why one gets no work. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { canRun } from '../../workflows/placement';
import { findSlowness } from '../../workflows/slow-trainers';
import { poolId, poolQuery, type Member, type PoolState } from '../../workflows/pool-messages';
import { plural } from '../base/plural';
import { readProgress, type CohortProgress } from '../store/sweep-store';
import { formatDuration } from './live-view';

const ANSWER_MS = 3000;

/** What a trainer does for one cohort. */
export interface TrainerWork {
  sweep_id: string;
  cohort: string;
  /** `prune`, `train` or `predict`; null before its first word. */
  work: string | null;
  trials: number;
  rows_per_s: number | null;
  seconds: number;
}

/** A trainer's part in the pool. */
export interface PoolPart {
  state: Member['state'];
  /** Why it gets no work; null if it may get some. */
  why: string | null;
  work: TrainerWork[];
}

/** The pool, as Temporal has it. */
export interface Pool {
  raw: WorkflowExecutionDescription['raw'];
  /** Undefined while no worker answers for it. */
  state: PoolState | undefined;
}

/** Undefined if there is no pool now, as while no sweep is open; nothing else depends on it. */
export async function readPool(client: Client, taskQueue: string): Promise<Pool | undefined> {
  const handle = client.workflow.getHandle(poolId(taskQueue));
  const ask = <T>(question: () => Promise<T>): Promise<T | undefined> =>
    client.withDeadline(Date.now() + ANSWER_MS, question).catch(() => undefined);
  const described = await ask(() => handle.describe());
  if (described?.status.name !== 'RUNNING') return undefined;
  return { raw: described.raw, state: await ask(() => handle.query(poolQuery)) };
}

/** By address. */
export async function describePool(
  root: string,
  pool: PoolState,
  now: number,
): Promise<Map<string, PoolPart>> {
  const parts = new Map<string, PoolPart>();
  for (const member of pool.members) {
    const leases = pool.leases.filter(({ address }) => address === member.address);
    const work = await Promise.all(
      leases.map(async ({ cohort: workflowId, sweepId, trials, since }) => {
        const cohort = workflowId.split('/').at(-1)!;
        const shown = (await readProgress(root, sweepId, cohort).catch(() => [])).find((progress) =>
          isBusyOn(progress, member.name),
        );
        return {
          ...{ sweep_id: sweepId, cohort, work: shown?.work ?? null },
          trials: shown?.trials?.length ?? trials,
          rows_per_s:
            shown && shown.rows_per_s > 0 && member.state !== 'away' ? shown.rows_per_s : null,
          seconds: (now - since) / 1000,
        };
      }),
    );
    parts.set(member.address, { state: member.state, why: explain(member, now), work });
  }
  return parts;
}

const isBusyOn = ({ trainer, work }: CohortProgress, name: string): boolean =>
  trainer === name && work !== 'evaluate';

function explain(member: Member, now: number): string | null {
  const { state, why, unfit } = member;
  if (state !== 'ready') return why;
  const slowness = describeSlowness(member, now);
  if (slowness !== null) return slowness;
  const [reason] = Object.values(unfit);
  return reason === undefined ? null : `cannot run every sweep: ${reason.why}`;
}

/** Null unless a trainer is slow. */
function describeSlowness(member: Member, now: number): string | null {
  const slowness = findSlowness(member, now);
  if (slowness === null) return null;
  const [own, usual] = [slowness.own, slowness.usual].map((pace) => Number(pace.toPrecision(2)));
  return (
    `slow, ${own} rows/s where others have ${usual}: ` +
    'set aside where a sweep ends sooner without it'
  );
}

/** `train 10 trials of c01-mrpc, 43 rows/s, for 3 min`. */
export function describeWork({ cohort, work, trials, rows_per_s, seconds }: TrainerWork): string {
  const parts = [
    `${work ?? 'begin'} ${plural(trials, 'trial')} of ${cohort}`,
    rows_per_s === null ? null : `${Math.round(rows_per_s)} rows/s`,
    `for ${formatDuration(seconds)}`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

/** The same of a trainer that does not work now: `nothing: 10 trials of c01-mrpc wait for it`. */
export function describeIdleWork({ cohort, trials }: TrainerWork): string {
  const wait = trials === 1 ? 'waits' : 'wait';
  return `nothing: ${plural(trials, 'trial')} of ${cohort} ${wait} for it`;
}

/** Why a sweep without a trainer waits; null if it has one, or asks for none. */
export function describeWaiting(pool: PoolState, sweepId: string, now: number): string | null {
  const isOurs = (each: { sweepId: string }): boolean => each.sweepId === sweepId;
  const request = pool.requests.find(isOurs);
  if (request === undefined || pool.leases.some(isOurs)) return null;
  const able = pool.members.filter((member) => canRun(member, request, now));
  if (able.length === 0)
    return `waits for a trainer: none that is ${request.kind ?? 'able to run it'} answers`;
  const others = new Set(
    pool.leases
      .filter((lease) => able.some(({ address }) => address === lease.address))
      .map((lease) => lease.sweepId),
  );
  return `waits for a trainer: busy with ${[...others].join(', ') || 'nothing, so in a moment'}`;
}

/** Lines for whoever follows a sweep: why it waits, and which trainers do not work for it. */
export function describeAbsences(pool: PoolState, sweepId: string, now: number): string[] {
  const waiting = describeWaiting(pool, sweepId, now);
  const unfit = pool.members.flatMap(({ name, state, unfit: reasons }) =>
    state === 'ready' && reasons[sweepId]
      ? [`${name} cannot run this sweep: ${reasons[sweepId].why}`]
      : [],
  );
  const slow = pool.members.flatMap((member) => {
    const slowness = member.state === 'ready' ? describeSlowness(member, now) : null;
    return slowness === null ? [] : [`${member.name} is ${slowness}`];
  });
  const absent = pool.members
    .filter(({ state }) => state !== 'ready')
    .map((member) => {
      const { name, address, state, since, why } = member;
      const left = pool.graceSeconds - (now - since) / 1000;
      const isTaken = pool.leases.some(
        (lease) =>
          lease.address === address &&
          pool.members.some((other) => other !== member && canRun(other, lease, now)),
      );
      const fate = isTaken && left > 0 ? `; others get its work in ${formatDuration(left)}` : '';
      const words = { away: 'does not answer', gone: 'has left', aside: 'is set aside', ready: '' };
      return `${name} ${words[state]}${why ? ` (${why})` : ''}${fate}`;
    });
  return [...(waiting === null ? [] : [waiting]), ...unfit, ...slow, ...absent];
}
