/**
 * How clients and workflows talk: inputs, queries, updates, signals and states. Imported by
 * workflows and by the CLI, so it may import only `@temporalio/workflow` and types.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { TrainerSource } from '../orchestrator/trainer-client/registry';
import type { Work } from '../orchestrator/trainer-client/spec';

/**
 * What the user wants of a sweep. Pausing stops its jobs at a checkpoint, from which they continue;
 * cancelling ends them.
 */
export type Mode = 'run' | 'pause' | 'cancel';

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
  cohorts: { id: string; dataset: string }[];
  /**
   * How many cohorts may be in progress at once: the trainer's slots. With more, a cohort's last
   * stage would wait behind the next one's training.
   */
  maxParallel: number;
  /**
   * After this many cohorts failed alike with none getting anywhere in between, no further one is
   * started. 0, or left out by sweeps of an earlier version: never.
   */
  maxFailures?: number;
  /** Where the sweep's earlier runs got to, if its history became too long for one. */
  earlier?: Pick<SweepStatus, 'mode' | 'done' | 'failed' | 'cancelled'>;
}

export interface CohortInput {
  sweepId: string;
  planDigest: string;
  run: string;
  cohortId: string;
  mode: Mode;
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
  /** Why no more cohorts are started, although some are left; absent if all are. */
  stopped?: string;
}

/** How a cohort ended: trials by outcome. */
export interface CohortOutcome {
  done: number;
  failed: number;
  cancelled: number;
  /** Set if no trial came to a result, and all for this one reason, which is none of their own. */
  failure?: Failed;
}

export const statusQuery = defineQuery<SweepStatus>('status');
/**
 * Sets the mode and returns the previous one. `cancel` is final: a later `run` or `pause` is
 * rejected.
 */
export const setModeUpdate = defineUpdate<Mode, [Mode]>('setMode');
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
  /** `<run>-<n>`: a retry is a new generation, hence a new job. */
  generation: string;
  /** The first one that serves the root, if left out. */
  trainer?: TrainerSource;
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
  state: 'succeeded' | 'failed' | 'cancelled' | 'interrupted';
  /** Set if the job as a whole failed. */
  failure: Failed | null;
  /** Trials that failed although the job succeeded, by id. */
  failedTrials: Record<string, Failed>;
}
