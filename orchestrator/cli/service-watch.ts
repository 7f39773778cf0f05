/** Says at once what happens to the services while a command follows a sweep. */
import { runtimeStatus, type ServiceStatus } from '../runtime/status';
import { nameService } from '../runtime/supervisor-state';
import { isTrainerName } from '../runtime/runtime-config';
import { findOutage, findOutageOf } from './outage';

const LOOK_MS = 500;

export class ServiceWatch {
  /** What is out of service for good; null if nothing is. */
  outage: string | null = null;
  /** What a look threw: nobody would catch it there. */
  private failure: Error | undefined;
  private outageSince: number | null = null;
  private before: ServiceStatus[];
  private readonly timer: NodeJS.Timeout;

  /**
   * @param endsAfter seconds after which the command ends if an outage lasts
   * @param say prints lines
   */
  constructor(
    private readonly stateDir: string,
    private readonly endsAfter: number,
    private readonly say: (text: string) => void,
  ) {
    this.before = runtimeStatus(stateDir);
    this.look();
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /**
   * Whether an outage has lasted for too long.
   *
   * @throws UserError if the services cannot be looked at any more, or run on another host now
   */
  hasEnded(): boolean {
    if (this.failure !== undefined) throw this.failure;
    return this.outageSince !== null && Date.now() - this.outageSince >= this.endsAfter * 1000;
  }

  private look(): void {
    try {
      this.compare(runtimeStatus(this.stateDir));
    } catch (error) {
      this.failure ??= error as Error;
      this.stop();
    }
  }

  private compare(now: ServiceStatus[]): void {
    for (const line of describeChanges(this.before, now)) this.say(`! ${line}\n`);
    this.before = now;
    const outage = findOutageOf(this.stateDir, now);
    if (outage !== null && outage !== this.outage)
      this.say(`${outage}\nOtherwise this command ends in ${this.endsAfter} s.\n`);
    this.outage = outage;
    if (outage === null) this.outageSince = null;
    else this.outageSince ??= Date.now();
  }
}

/** What happened between two looks, a line for each; an outage is told apart from that. */
export function describeChanges(
  before: readonly ServiceStatus[],
  now: readonly ServiceStatus[],
): string[] {
  return now.flatMap((service) => {
    const old = before.find(({ name }) => name === service.name);
    if (old === undefined) return [];
    const isGivenUp = service.state === 'failed' && old.state !== 'failed';
    // With the last trainer it is an outage, which is told with its log.
    if (isGivenUp && isTrainerName(service.name) && findOutage(now) === null)
      return [
        `${nameService(service.name)} died again and again and is not restarted; other trainers ` +
          'go on',
      ];
    return describeChange(old, service);
  });
}

function describeChange(old: ServiceStatus, now: ServiceStatus): string[] {
  const { name, state, restarts, last_exit } = now;
  const named = nameService(name);
  if (name === 'supervisor') {
    const [wasThere, isThere] = [old.state === 'ready', state === 'ready'];
    if (wasThere === isThere) return [];
    return isThere
      ? [`${named} is back`]
      : [`${named} is gone: what dies now is not restarted; \`sa-orch up\` brings it back`];
  }
  // A death is counted once the supervisor has noticed it, with the way it ended.
  if (restarts > old.restarts && state !== 'failed')
    return [
      `${named} died${last_exit === null ? '' : ` (${last_exit})`}; the supervisor ` +
        (state === 'ready' ? 'has started it again' : 'is starting it again'),
    ];
  if (state === 'unhealthy' && old.state === 'ready')
    return [`${named} does not answer; the supervisor restarts it if that lasts`];
  if (state === 'ready' && old.state !== 'ready' && old.state !== 'dead')
    return [`${named} works again`];
  return [];
}
