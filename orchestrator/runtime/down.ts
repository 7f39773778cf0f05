/** Stops the services of a state directory. */
import type { OnProgress } from '../base/progress';
import { lockHolder } from '../../common/lock-file';
import { isDiskFull } from '../../common/disk-space';
import { isAlive, terminate } from '../../common/process-identity';
import { unlistTrainers } from './listed-trainers';
import { refuseOtherHost } from './other-host';
import { readRuntimeConfig, removeRuntimeConfig } from './runtime-config';
import { DEFAULT_POLICY } from './supervisor';
import {
  readSupervisorState,
  supervisorLockPath,
  writeSupervisorState,
  type ServiceRecord,
} from './supervisor-state';

/** The supervisor stops services in two waves, each with its own grace period. */
const SUPERVISOR_GRACE_MS = 2 * DEFAULT_POLICY.stopGraceMs + 15_000;

export interface DownOptions {
  stateDir: string;
  /**
   * Called before anything is stopped if sweeps may be open; may refuse by throwing. Returns the
   * ids of paused ones.
   */
  beforeStop: () => Promise<readonly string[]>;
  onProgress: OnProgress;
}

/**
 * Stops worker, trainer and server, in this order, with SIGTERM and, after 25 s, SIGKILL. Finds
 * them by pid and start time, never by name. Returns the names of what it stopped.
 *
 * @throws UserError (exit 2) if the services run on another host; what `beforeStop` throws
 */
export async function down({ stateDir, beforeStop, onProgress }: DownOptions): Promise<string[]> {
  refuseOtherHost(stateDir);
  const supervisor = lockHolder(supervisorLockPath(stateDir));
  const living = (readSupervisorState(stateDir)?.services ?? []).filter((service) =>
    isAlive(service.process),
  );
  const mayBeOpen = living.some(({ name }) => name === 'temporal' || name === 'worker');
  const paused = mayBeOpen ? await beforeStop() : [];
  if (supervisor) await terminate(supervisor, SUPERVISOR_GRACE_MS);
  // What is left by a supervisor that died earlier or had to be killed.
  const placeOf = (name: string) => ['worker', 'trainer', 'temporal'].indexOf(name.split('-')[0]!);
  for (const { name, process } of living.sort((a, b) => placeOf(a.name) - placeOf(b.name))) {
    const how =
      process && isAlive(process)
        ? await terminate(process, DEFAULT_POLICY.stopGraceMs)
        : 'stopped';
    onProgress('✓', name, how === 'killed' ? 'killed: it did not stop in time' : 'stopped');
  }
  recordEnd(stateDir, paused);
  const root = readRuntimeConfig(stateDir)?.root;
  removeRuntimeConfig(stateDir);
  if (root !== undefined) unlistTrainers(stateDir, root);
  return [...living.map(({ name }) => name), ...(supervisor ? ['supervisor'] : [])];
}

/**
 * Writes down which sweeps were paused and, for the next start, what a supervisor that was killed
 * could not: the end in order.
 */
function recordEnd(stateDir: string, paused: readonly string[]): void {
  const state = readSupervisorState(stateDir);
  const isWritten = state?.services.every((record) => record.state === 'stopped');
  if (state === undefined || (isWritten && paused.length === 0)) return;
  const stop = (record: ServiceRecord): ServiceRecord =>
    isAlive(record.process)
      ? record
      : { ...record, state: 'stopped', process: null, token: null, readySince: null };
  try {
    writeSupervisorState(stateDir, { ...state, services: state.services.map(stop), paused });
  } catch (error) {
    // Then the next start counts a restart too many, and `status` knows of no pause.
    if (!isDiskFull(error)) throw error;
  }
}
