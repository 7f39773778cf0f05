/** A state directory on a disk that several machines share belongs to one of them at a time. */
import { describeHolder, lockHolder, wayOut } from '../../common/lock-file';
import { isElsewhere } from '../../common/process-identity';
import { UserError } from '../base/errors';
import { readSupervisorState, statePath, supervisorLockPath } from './supervisor-state';

/**
 * Two supervisors would open one database and stop each other's services, and 127.0.0.1 is another
 * server there.
 *
 * @throws UserError (exit 2) if the services of a state directory run, or may run, on another host
 */
export function refuseOtherHost(stateDir: string): void {
  const lock = supervisorLockPath(stateDir);
  const holder = lockHolder(lock);
  if (holder !== undefined && isElsewhere(holder)) refuse(stateDir, lock, holder);
  // A supervisor that was killed, or whose lock somebody removed, leaves its services running.
  const state = readSupervisorState(stateDir);
  for (const { process } of state?.services ?? [])
    if (process !== null && isElsewhere(process)) refuse(stateDir, statePath(stateDir), process);
}

function refuse(stateDir: string, path: string, holder: Parameters<typeof wayOut>[1]): never {
  throw new UserError(
    `the services of ${stateDir} run on host ${holder.host} (${describeHolder(path, holder)})`,
    2,
    'Use them there, or give this host a state directory of its own: --state-dir, or ' +
      `SA_ORCH_STATE.\nTo use this one, ${wayOut(path, holder)}.`,
  );
}
