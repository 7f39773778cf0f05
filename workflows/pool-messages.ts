/**
 * How cohorts, pool and clients talk about trainers: requests, leases, signals and the query.
 * Imported by workflows and by the CLI, so it may import only `@temporalio/workflow` and types.
 */
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { TrainerSource } from '../orchestrator/trainer-client/registry';
import type { CohortPlacement, JobRef } from './messages';

/** A cohort asks for a trainer for some of its trials. It asks for one at a time. */
export interface PlacementRequest extends CohortPlacement {
  /** `<cohort's workflow id>#<n>`; the lease's id as well. Asking twice is asking once. */
  id: string;
  /** The workflow to tell. */
  cohort: string;
  sweepId: string;
  /** Whether the cohort asks for the first time. */
  isFirst: boolean;
  /** How many trials have no trainer yet. */
  trials: number;
  /** Addresses that come last: these trials failed there. */
  avoid: string[];
}

/** A trainer's slot for some trials of a cohort, until it is released or revoked. */
export interface Lease {
  id: string;
  trainer: TrainerSource;
  /** At most this many trials, at least one. */
  trials: number;
  /** Whether another trainer could take these trials if this one fails. */
  hasOthers: boolean;
}

/** How a lease ended. */
export interface Release {
  id: string;
  /**
   * `returned`: it says nothing of the trainer; `failed`: the trainer failed, as far as one can
   * tell; `unfit`: it cannot run this sweep; `lost`: it was revoked.
   */
  outcome: 'done' | 'returned' | 'failed' | 'unfit' | 'lost';
  /** Why; null if done or returned. */
  why: string | null;
  /** A job that may still run there; to be stopped when the trainer is back. */
  job: JobRef | null;
  /** As in JobOutcome. */
  rowsPerSecond?: number;
}

/** What a look at a trainer found. */
export interface TrainerReport extends TrainerSource {
  state: 'ready' | 'away';
  /** Why it is away. */
  why: string | null;
  /** As nameEnvironment says; null if it never answered. */
  kind: string | null;
  slots: number;
  /** How many trials it likes to have at once. */
  maxCohort: number;
  /** How many it takes at once; absent in reports of an earlier version: the same. */
  largestCohort?: number;
}

/** A trainer as the pool sees it. */
export interface Member extends Omit<TrainerReport, 'state'> {
  /**
   * `gone`: no list names it any more, but cohorts are still there; `aside`: it failed several
   * times in a row and gets no work while others can do it.
   */
  state: TrainerReport['state'] | 'gone' | 'aside';
  /** Of this state: milliseconds since 1970. */
  since: number;
  failuresInARow: number;
  /** Of the data sets that it worked on last, the newest last. */
  datasets: string[];
  /** Sweeps that it cannot run, why, and since when it is known: milliseconds since 1970. */
  unfit: Record<string, { why: string; since: number }>;
  /** Of its last parts, the newest last. */
  paces?: Pace[];
  /** By sweep: how many trials it gets at once, where that is not maxCohort. */
  sizes?: Record<string, number>;
}

/** How fast a trainer trained a part. */
export interface Pace {
  sweepId: string;
  dataset: string;
  trials: number;
  rowsPerSecond: number;
  /** What the others had at comparable work (slow-trainers.ts); null if there was none. */
  usual: number | null;
  /** When it ended: milliseconds since 1970. */
  at: number;
}

/** A lease as the pool keeps it. */
export interface HeldLease extends Omit<Lease, 'trainer' | 'hasOthers'> {
  cohort: string;
  sweepId: string;
  kind: string | null;
  address: string;
  dataset?: string;
  /** Milliseconds since 1970. */
  since: number;
  revoked: boolean;
}

/** All that the pool knows; it survives in the workflow. */
export interface PoolState {
  /** How long a trainer may be away before others get its work. */
  graceSeconds: number;
  members: Member[];
  leases: HeldLease[];
  /** In the order of asking. */
  requests: PlacementRequest[];
  /** Seconds of trainers that each sweep has had, those of running leases excepted. */
  served: Record<string, number>;
  /** How many cohorts of each sweep have asked for their first trainer. */
  asked: Record<string, number>;
  /** As in CohortInput; absent in pools of an earlier version. */
  isBrief?: boolean;
  /** Whether cohorts may have leases of a pool before this one, which it does not know. */
  mayLackLeases?: boolean;
  /** Jobs to be stopped, by the address of a trainer that was away. */
  orphans: { address: string; job: JobRef }[];
}

export const requestSignal = defineSignal<[PlacementRequest]>('request');
/** The id of a request that is no longer of interest, though it may have become a lease. */
export const withdrawSignal = defineSignal<[string]>('withdraw');
/** Ids of cohorts that were ended from outside, so that they cannot release their trainers. */
export const forgetSignal = defineSignal<[string[]]>('forget');
export const releaseSignal = defineSignal<[Release]>('release');
/** A lease, as the cohort that has it knows it. */
export interface KnownLease extends Omit<HeldLease, 'since' | 'revoked'> {
  /** The trainer's. */
  name: string;
}

/** To a cohort: the leases that it has. */
export const leasesQuery = defineQuery<KnownLease[]>('leases');
export const poolQuery = defineQuery<PoolState>('pool');

/** From the pool to a cohort. */
export const grantedSignal = defineSignal<[Lease]>('granted');
/** The id of a lease that ends now. */
export const revokedSignal = defineSignal<[string]>('revoked');

/** From a cohort to its sweep: it has its first trainer. */
export const placedSignal = defineSignal<[string]>('placed');

/** The id of the workflow that serves a task queue's cohorts. */
export const poolId = (taskQueue: string): string => `pool-${taskQueue}`;
