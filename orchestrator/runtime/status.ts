/** What is running for a state directory. */
import { lockHolder } from '../../common/lock-file';
import { tailLog } from './log-file';
import { isAlive } from '../../common/process-identity';
import { refuseOtherHost } from './other-host';
import { readRuntimeConfig, trainerName } from './runtime-config';
import {
  logPath,
  readSupervisorState,
  supervisorLockPath,
  type ServiceRecord,
  type ServiceState,
} from './supervisor-state';

export interface ServiceStatus {
  name: string;
  /**
   * The supervisor's state, corrected by which processes are alive: `dead` for a process that is
   * gone, `external` for a service that we do not run.
   */
  state: ServiceState | 'dead' | 'external';
  pid: number | null;
  address: string | null;
  /** When it became ready; null if it is not, or is not ours. */
  since: string | null;
  /** How often it was restarted after a death. */
  restarts: number;
  /** How its last process ended; null if none has. */
  last_exit: string | null;
  log: string | null;
  /** The log's last lines, if the service has failed. */
  log_tail: string[];
}

/**
 * The supervisor and each service; empty if nothing was started or `down` has stopped it.
 *
 * @throws UserError (exit 2) if they run on another host
 */
export function runtimeStatus(stateDir: string): ServiceStatus[] {
  refuseOtherHost(stateDir);
  const config = readRuntimeConfig(stateDir);
  if (config === undefined) return [];
  const supervisor = lockHolder(supervisorLockPath(stateDir));
  const log = logPath(stateDir, 'supervisor');
  const services = readSupervisorState(stateDir)?.services ?? [];
  // In order, after long idleness or a signal: `down` would have removed the configuration.
  const isStopped = services.length > 0 && services.every(({ state }) => state === 'stopped');
  const own: ServiceStatus = {
    ...{
      name: 'supervisor',
      state: supervisor ? 'ready' : isStopped ? 'stopped' : 'dead',
      pid: supervisor?.pid ?? null,
      address: null,
    },
    ...{ since: null, restarts: 0, last_exit: null, log, log_tail: [] },
  };
  const { temporal, local, external } = config;
  return [
    own,
    ...services.map(describeStatus),
    ...(temporal.kind === 'external' ? [externalStatus('temporal', temporal.address)] : []),
    ...external.map(({ address }, index) =>
      externalStatus(local === null && index === 0 ? trainerName(0) : address, address),
    ),
  ];
}

function describeStatus(record: ServiceRecord): ServiceStatus {
  const alive = isAlive(record.process);
  return {
    name: record.name,
    state: record.process !== null && !alive ? 'dead' : record.state,
    pid: alive ? (record.process?.pid ?? null) : null,
    address: record.address,
    since: alive && record.readySince ? new Date(record.readySince).toISOString() : null,
    restarts: record.restarts,
    last_exit: record.lastExit,
    log: record.log,
    log_tail: record.state === 'failed' ? tailLog(record.log, 12, record.logOffset) : [],
  };
}

function externalStatus(name: string, address: string): ServiceStatus {
  return {
    name,
    state: 'external',
    pid: null,
    address,
    since: null,
    restarts: 0,
    last_exit: null,
    log: null,
    log_tail: [],
  };
}
