/** Services that nobody restarts, as a command sees them that follows a sweep. */
import { runtimeStatus, type ServiceStatus } from '../runtime/status';

/** A command that follows a sweep ends after an outage of this long. */
export const OUTAGE_SECONDS = 60;

/**
 * What is out of service for good: one line for each service with its log, then the command to go
 * on. Null if everything works or is being restarted.
 */
export function findOutage(stateDir: string): string | null {
  const services = runtimeStatus(stateDir);
  const supervisor = services.find(({ name }) => name === 'supervisor');
  const lost = services.filter(
    ({ name, state, pid }) =>
      name !== 'supervisor' &&
      (state === 'failed' || (supervisor?.state === 'dead' && state !== 'external' && !pid)),
  );
  if (lost.length === 0) return null;
  return [...lost.map(describeLoss), 'To go on: `sa-orch up` starts it again.'].join('\n');
}

function describeLoss({ name, state, last_exit, log, log_tail }: ServiceStatus): string {
  const what =
    state === 'failed'
      ? `the ${name} died again and again and is not restarted`
      : `the ${name} is not running, and neither is the supervisor that would restart it`;
  const last = last_exit === null ? '' : ` (last: ${last_exit})`;
  return [`${what}${last}; its log: ${log}`, ...log_tail.slice(-3).map((line) => `  ${line}`)].join(
    '\n',
  );
}
