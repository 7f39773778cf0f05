/** Services that nobody restarts, as a command sees them that follows a sweep. */
import { existsSync } from 'node:fs';
import { isTrainerName } from '../runtime/runtime-config';
import { nameService, statePath } from '../runtime/supervisor-state';
import type { ServiceStatus } from '../runtime/status';

/** A command that follows a sweep ends after an outage of this long. */
export const OUTAGE_SECONDS = 60;

/**
 * What is out of service for good: one line for each service with its log, then the command to go
 * on. Null if everything works or is being restarted.
 */
export function findOutage(services: readonly ServiceStatus[]): string | null {
  if (services.length === 0) return null;
  let lost = services.filter(
    ({ name, state, pid }) =>
      name !== 'supervisor' &&
      (state === 'failed' || (isUnsupervised(services) && state !== 'external' && !pid)),
  );
  // One trainer is enough.
  const isTrainer = ({ name, address }: ServiceStatus) => isTrainerName(name) || name === address;
  const hasTrainer = services.some((service) => isTrainer(service) && !lost.includes(service));
  if (hasTrainer) lost = lost.filter((service) => !isTrainer(service));
  if (lost.length === 0) return null;
  return [...lost.map(describeLoss), 'To go on: `sa-orch up` starts it again.'].join('\n');
}

/** The same for a command that followed a sweep when services were still there. */
export function findOutageOf(stateDir: string, services: readonly ServiceStatus[]): string | null {
  if (services.length > 0) return findOutage(services);
  const how = existsSync(statePath(stateDir))
    ? '`sa-orch down` stopped the services'
    : `${stateDir} was removed, and with it the services ended`;
  return `${how}\nTo go on: \`sa-orch up\` starts them again.`;
}

const isUnsupervised = (services: readonly ServiceStatus[]): boolean =>
  services.some(
    ({ name, state }) => name === 'supervisor' && (state === 'dead' || state === 'stopped'),
  );

function describeLoss({ name, state, last_exit, log, log_tail }: ServiceStatus): string {
  const what =
    state === 'failed'
      ? `${nameService(name)} died again and again and is not restarted`
      : `${nameService(name)} is not running, and neither is the supervisor that would ` +
        'restart it';
  const last = last_exit === null ? '' : ` (last: ${last_exit})`;
  return [`${what}${last}; its log: ${log}`, ...log_tail.slice(-3).map((line) => `  ${line}`)].join(
    '\n',
  );
}
