/**
 * What the supervisor knows of its services: `.sa-orch/supervisor.json`, so that its successor can
 * take over living processes.
 */
import { join } from 'node:path';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import type { ProcessIdentity } from '../../common/process-identity';

export type ServiceName = 'temporal' | 'worker' | 'trainer';

/**
 * waiting: to be started, at once or after a pause (or when what it needs is ready). starting: the
 * process lives and has not been healthy yet. unhealthy: it lives, was healthy, and does not answer
 * now. failed: died too often; not started again until `up` asks.
 */
export type ServiceState = 'waiting' | 'starting' | 'ready' | 'unhealthy' | 'failed' | 'stopped';

export interface ServiceRecord {
  name: ServiceName;
  state: ServiceState;
  address: string | null;
  process: ProcessIdentity | null;
  /**
   * Handed to the process in its environment before it is known by its pid: a successor finds it by
   * this.
   */
  token: string | null;
  /** How often it was started again after a death, in all. */
  restarts: number;
  /** Deaths since it was last healthy for a while: decides pauses and the end of trying. */
  deaths: number;
  /** When to start it next, in ms since the epoch; 0 at once. */
  nextStart: number;
  /** When it last became ready, in ms since the epoch; null until then. */
  readySince: number | null;
  /** When the process was started, in ms since the epoch. */
  startedAt: number | null;
  /** How the last process ended, for a person. */
  lastExit: string | null;
  log: string;
  /** Where in the log the present process began. */
  logOffset: number;
}

export interface SupervisorState {
  format: 1;
  supervisor: ProcessIdentity;
  services: ServiceRecord[];
}

const statePath = (stateDir: string): string => join(stateDir, 'supervisor.json');

export const supervisorLockPath = (stateDir: string): string => join(stateDir, 'supervisor.lock');

export const logPath = (stateDir: string, name: ServiceName | 'supervisor'): string =>
  join(stateDir, 'logs', `${name}.log`);

export function readSupervisorState(stateDir: string): SupervisorState | undefined {
  const content = readIfThere(statePath(stateDir));
  return content === undefined ? undefined : (JSON.parse(content) as SupervisorState);
}

export function writeSupervisorState(stateDir: string, state: SupervisorState): void {
  writeDurablySync(statePath(stateDir), JSON.stringify(state, null, 2));
}
