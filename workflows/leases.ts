/** A cohort's trainers: asks the pool for them, and gives them back. */
import { condition, proxyActivities, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Activities } from './activities';
import type { CohortInput, CohortPlacement, Mode } from './messages';
import { grantedSignal, revokedSignal, type Lease, type Release } from './pool-messages';

const short = proxyActivities<
  Pick<Activities, 'askForTrainer' | 'withdrawRequest' | 'releaseTrainer'>
>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds' },
});

/**
 * A pool that somebody ended knows nothing of what it was asked, so a cohort asks again: first
 * after this time, then after twice as long, and so on.
 */
const ASK_AGAIN_MS = 60_000;
const LONGEST_ASK_AGAIN_MS = 30 * 60_000;

/** A trainer that a cohort holds. */
export interface HeldTrainer {
  readonly lease: Lease;
  /** The number of its part: the lowest that no other one has. */
  readonly part: number;
  revoked: boolean;
  /** Called when it is revoked. */
  onRevoked: () => void;
}

export class Leases {
  private readonly granted: Lease[] = [];
  private readonly held = new Map<string, HeldTrainer>();
  private asked = 0;

  constructor(
    private readonly input: Pick<CohortInput, 'sweepId'>,
    private readonly placement: CohortPlacement,
    private readonly mode: () => Mode,
  ) {
    setHandler(grantedSignal, (lease) => {
      this.granted.push(lease);
    });
    setHandler(revokedSignal, (id) => {
      const held = this.held.get(id);
      if (held === undefined) return;
      held.revoked = true;
      held.onRevoked();
    });
  }

  /** Waits for a trainer; null if the mode changes first. */
  async acquire(trials: number, avoid: string[]): Promise<HeldTrainer | null> {
    const cohort = workflowInfo().workflowId;
    const id = `${cohort}#${++this.asked}`;
    const { sweepId } = this.input;
    const isFirst = this.asked === 1;
    const request = { id, cohort, sweepId, isFirst, trials, avoid, ...this.placement };
    const isDecided = () => this.granted.some((lease) => lease.id === id) || this.mode() !== 'run';
    let pause = ASK_AGAIN_MS;
    do {
      await short.askForTrainer(request);
      if (await condition(isDecided, pause)) break;
      pause = Math.min(2 * pause, LONGEST_ASK_AGAIN_MS);
    } while (!isDecided());
    const lease = this.granted.find((each) => each.id === id);
    if (lease === undefined) {
      await short.withdrawRequest(id);
      return null;
    }
    this.granted.splice(this.granted.indexOf(lease), 1);
    const taken = new Set([...this.held.values()].map(({ part }) => part));
    let part = 0;
    while (taken.has(part)) part++;
    const held = { lease, part, revoked: false, onRevoked: () => undefined };
    this.held.set(id, held);
    return held;
  }

  /** Gives the trainer back; the part keeps its number until `end`. */
  async release({ lease: { id } }: HeldTrainer, how: Omit<Release, 'id'>): Promise<void> {
    await short.releaseTrainer({ id, ...how });
  }

  /** The part has nothing more to write. */
  end({ lease: { id } }: HeldTrainer): void {
    this.held.delete(id);
  }

  /** Gives back what came after it was no longer wanted. */
  async releaseUnused(): Promise<void> {
    for (const { id } of this.granted.splice(0))
      await short.releaseTrainer({ id, outcome: 'done', why: null, job: null });
  }
}
