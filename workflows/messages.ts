/**
 * How clients and workflows talk: inputs, queries, updates, signals and states. Imported by
 * workflows and by the CLI, so it may import only `@temporalio/workflow` and types.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { CohortRef, Extension } from '../orchestrator/sweep/types';
import type { TrainerSource } from '../orchestrator/trainer-client/registry';
import type { Work } from '../orchestrator/trainer-client/spec';

/**
 * What the user wants of a sweep. Pausing stops its jobs at a checkpoint, from which they continue;
 * cancelling ends them.
 */
export type Mode = 'run' | 'pause' | 'cancel';

export const PRIORITIES = ['low', 'normal', 'high'] as const;
/** Trainers go to sweeps of a higher one first. */
export type Priority = (typeof PRIORITIES)[number];

/**
 * What a sweep workflow needs. Payloads stay small: trials and data sets are in the plan file,
 * which activities read.
 */
export interface SweepInput {
  /** Raised when the meaning of this input changes. */
  stateVersion: 1;
  sweepId: string;
  /**
   * Hex SHA-256 of the plan file. An activity refuses any file but the one this run was started
   * with.
   */
  planDigest: string;
  /**
   * `[a-z0-9]+`, different for each run of the sweep. It is part of job ids, so that a new run
   * never mistakes an old run's failures for its own.
   */
  run: string;
  /** In the order of execution. */
  cohorts: CohortRef[];
  /**
   * How many cohorts may be in progress at once. For sweeps of an earlier version, the trainer's
   * slots: with more, a cohort's last stage would wait behind the next one's training. With a pool,
   * what the user allows; 0 for as many as it has trainers for.
   */
  maxParallel: number;
  /**
   * What the sweep wants of the pool of trainers. Sweeps of an earlier version have none, and their
   * cohorts use the worker's only trainer.
   */
  placement?: SweepPlacement;
  /**
   * After this many cohorts failed alike with none getting anywhere in between, no further one is
   * started. 0, or left out by sweeps of an earlier version: never.
   */
  maxFailures?: number;
  /** Whether it has choices to make once the cohorts above have ended. */
  hasSearch?: boolean;
  /** Whether it makes what choices it can before that, once no cohort is left to start. */
  decidesEarly?: boolean;
  /** Whether the server has our search attributes. */
  isSearchable?: boolean;
  /** What is still to be changed, if its history became too long before that. */
  changes?: Change[];
  /** Trials that were cancelled before then, without which a search makes no choice. */
  missing?: string[];
  /** How often cohorts have run again, by id, if any has. */
  attempts?: Record<string, number>;
  /** Where the sweep's earlier runs got to, if its history became too long for one. */
  earlier?: Pick<SweepStatus, 'mode' | 'done' | 'failed' | 'cancelled'>;
}

export interface CohortInput {
  sweepId: string;
  planDigest: string;
  run: string;
  cohortId: string;
  mode: Mode;
  /** Trials that were cancelled before it started. */
  dropped?: string[];
  /** Whether its trials are evaluated on the way. */
  isEvaluated?: true;
  /** Absent in sweeps of an earlier version. */
  placement?: CohortPlacement;
  /** Whether brief activities run within workflow tasks; absent in sweeps of an earlier version. */
  isBrief?: boolean;
}

/** What the sweep wants of the pool, the same for all its cohorts. */
export interface SweepPlacement {
  /** Higher ones are served first, whatever they have had. */
  priority: number;
  /** What makes its results, as nameEnvironment says; null: any trainer may take part. */
  kind: string | null;
}

/** What a cohort's requests say. */
export interface CohortPlacement extends SweepPlacement {
  /** Digest of the cohort's data set. */
  dataset: string;
  /** How many cohorts the sweep runs in all. */
  cohorts: number;
}

export type CohortState = 'waiting' | 'running' | 'done' | 'cancelled' | 'failed';

/** Counters and states only; tables come from files. */
export interface SweepStatus {
  mode: Mode;
  /** By cohort id. */
  cohorts: Record<string, CohortState>;
  done: number;
  failed: number;
  cancelled: number;
  /** Cancelled trials that have no outcome yet: their cohort goes on; absent for none. */
  leaving?: string[];
  /** Why no more cohorts are started, although some are left; absent if all are. */
  stopped?: string;
  /** Why the last change was not made; absent if it was. */
  notChanged?: string;
}

/** How a cohort ended: trials by outcome. */
export interface CohortOutcome {
  done: number;
  failed: number;
  cancelled: number;
  /** Trials that were measured in the middle of their training; absent for none. */
  measured?: number;
  /** Set if no trial came to a result, and all for this one reason, which is none of their own. */
  failure?: Failed;
}

/** What a running sweep is extended by. Small: what it comes to is planned by an activity. */
export interface ExtendRequest {
  extension: Extension;
  /** Maximum trials of each new cohort. */
  maxCohort: number;
}

export const statusQuery = defineQuery<SweepStatus>('status');
/**
 * Sets the mode and returns the previous one. `cancel` is final: a later `run` or `pause` is
 * rejected.
 */
export const setModeUpdate = defineUpdate<Mode, [Mode]>('setMode');
/** What a user changes of a sweep that runs; trials by id. */
export type Change =
  | { kind: 'extend'; request: ExtendRequest }
  /** Runs failed and cancelled ones again, once these cohorts have ended. */
  | { kind: 'retry'; trials: string[]; after?: string[] }
  /** Goes on without them. */
  | { kind: 'cancel'; trials: string[] };

/**
 * Changes the sweep. What is accepted is done once a worker is there, and once, however often it is
 * asked for. Rejected with one of REJECTED as type.
 */
export const changeUpdate = defineUpdate<void, [Change]>('change');
/** Why an update comes too late. */
export const REJECTED = { cancelling: 'Cancelling', ending: 'Ending' } as const;
/** From a sweep to a cohort in progress: go on without these trials. */
export const dropSignal = defineSignal<[string[]]>('drop');
/** From a sweep to its cohorts. */
export const modeSignal = defineSignal<[Mode]>('mode');

export type { Work };

/**
 * Identifies a trainer's job: its specification is a pure function of the plan and this reference.
 */
export interface JobRef {
  sweepId: string;
  planDigest: string;
  cohortId: string;
  trials: string[];
  work: Work;
  /** Until, or at, this step of each trial, if that is not as far as the cohort takes them. */
  step?: number;
  /** `<run>-<n>`: a retry is a new generation, hence a new job. */
  generation: string;
  /** Where; absent in cohorts of an earlier version, which use the worker's only trainer. */
  trainer?: TrainerSource;
  /** Which of the cohort's parts, as in CohortProgress. */
  part?: number;
}

export interface Failed {
  /**
   * FailureReason in lower case without its prefix: `non_finite`, `out_of_memory`, …; `refused` if
   * the trainer refused the job.
   */
  reason: string;
  message: string;
}

/** Of a trial whose sweep was cancelled. */
export const CANCELLED: Failed = { reason: 'cancelled', message: 'cancelled before its end' };

/** How a job ended. */
export interface JobOutcome {
  /** `unfit`: it was not submitted, because the trainer cannot run it; `failure` says why. */
  state: 'succeeded' | 'failed' | 'cancelled' | 'interrupted' | 'unfit';
  /** Set if the job as a whole failed. */
  failure: Failed | null;
  /** Trials that failed although the job succeeded, by id. */
  failedTrials: Record<string, Failed>;
  /** In training, all trials together, on average; absent if nobody said. */
  rowsPerSecond?: number;
}
