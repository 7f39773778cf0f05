/**
 * What the supervisor knows about its services: `.sa-orch/supervisor.json`, from which a successor
 * can take over living processes.
 */
import { join } from 'node:path';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import type { ProcessIdentity } from '../../common/process-identity';
import { brokenFile, parseObject } from '../base/parse-object';
import type { TrainerName } from './runtime-config';

export type ServiceName = 'temporal' | 'worker' | TrainerName;

/**
 * waiting: to be started, at once, after a pause, or when what it needs is ready. starting: the
 * process is alive but has not been healthy yet. unhealthy: it is alive and was healthy, but does
 * not answer. failed: it died too often and is not restarted until `up` asks.
 */
export type ServiceState = 'waiting' | 'starting' | 'ready' | 'unhealthy' | 'failed' | 'stopped';

export interface ServiceRecord {
  name: ServiceName;
  state: ServiceState;
  address: string | null;
  process: ProcessIdentity | null;
  /**
   * Passed to the process in its environment, so that a successor can find it if its pid was never
   * written down.
   */
  token: string | null;
  /** How often it was restarted after a death, in total. */
  restarts: number;
  /** Deaths since it was last stable; decides pauses and when to give up. */
  deaths: number;
  /** When to start it next, in ms since the epoch; 0 means at once. */
  nextStart: number;
  /** When it last became ready, in ms since the epoch; null until then. */
  readySince: number | null;
  /** When the process was started, in ms since the epoch. */
  startedAt: number | null;
  /** How the last process ended, for people to read. */
  lastExit: string | null;
  log: string;
  /** Where in the log the current process began. */
  logOffset: number;
}

export interface SupervisorState {
  format: 1;
  supervisor: ProcessIdentity;
  services: ServiceRecord[];
  /** Sweeps that were paused when `down` stopped the services; the next start drops it. */
  paused?: readonly string[];
}

/** For people, in a sentence: `the Temporal server`, `the trainer`, `trainer-2`. */
export function nameService(name: string): string {
  if (name === 'temporal') return 'the Temporal server';
  return /\d$/.test(name) ? name : `the ${name}`;
}

export const statePath = (stateDir: string): string => join(stateDir, 'supervisor.json');

export const supervisorLockPath = (stateDir: string): string => join(stateDir, 'supervisor.lock');

export const logPath = (stateDir: string, name: ServiceName | 'supervisor'): string =>
  join(stateDir, 'logs', `${name}.log`);

export function readSupervisorState(stateDir: string): SupervisorState | undefined {
  const path = statePath(stateDir);
  const content = readIfThere(path);
  if (content === undefined) return undefined;
  const state = parseObject<SupervisorState>(path, content);
  if (!Array.isArray(state.services)) throw brokenFile(path, 'lists no services');
  if (!Array.isArray(state.paused ?? [])) throw brokenFile(path, 'has no list in `paused`');
  return state;
}

export function writeSupervisorState(stateDir: string, state: SupervisorState): void {
  writeDurablySync(statePath(stateDir), JSON.stringify(state, null, 2));
}
