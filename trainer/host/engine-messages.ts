/**
 * Messages between the host and its engine's process, sent as structured clones, which keep NaN and
 * dates.
 */
import type { Failure } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { EngineCapabilities, EngineEvent, EngineOptions } from './engine';

/** The child's only argument, as JSON. */
export interface EngineStart extends EngineOptions {
  /** The engine's module. */
  module: string;
  /**
   * Only one engine works on a state folder at a time, even if its host was killed and another has
   * started.
   */
  lock: string;
}

export type ToEngine =
  { $case: 'run'; spec: JobSpec } | { $case: 'stop'; how: 'checkpoint' | 'abort' };

export type Outcome =
  | { $case: 'done' }
  | { $case: 'interrupted' }
  | { $case: 'aborted' }
  | { $case: 'failed'; failure: Failure };

export type FromEngine =
  | { $case: 'ready'; capabilities: EngineCapabilities }
  | { $case: 'broken'; message: string; isDevice: boolean }
  | { $case: 'event'; event: EngineEvent }
  | { $case: 'moved' }
  /** For people. */
  | { $case: 'waiting'; reason: string }
  | { $case: 'ended'; outcome: Outcome };
