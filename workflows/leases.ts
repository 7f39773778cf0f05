/** A cohort's trainers: asks the pool for them, and gives them back. */
import { condition, setHandler, workflowInfo } from '@temporalio/workflow';
import { briefActivities } from './brief-activities';
import type { CohortInput, CohortPlacement, Mode } from './messages';
import {
  grantedSignal,
  leasesQuery,
  revokedSignal,
  type KnownLease,
  type Lease,
  type Release,
} from './pool-messages';

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
  /** Whether the pool was told that it is free again. */
  released: boolean;
  /** Called when it is revoked. */
  onRevoked: () => void;
}

function revoke(held: HeldTrainer): void {
  held.revoked = true;
  held.onRevoked();
}

export class Leases {
  /** The id of the request that is open; null if none is. */
  private open: string | null = null;
  private granted: Lease | null = null;
  /** Ids of leases that nobody waits for any more, as of a request that was sent twice. */
  private readonly unwanted: string[] = [];
  /** Ids of leases that were revoked before they were taken. */
  private readonly revokedEarly = new Set<string>();
  private readonly held = new Map<string, HeldTrainer>();
  private asked = 0;
  private readonly brief: ReturnType<typeof briefActivities>;

  constructor(
    private readonly input: Pick<CohortInput, 'sweepId' | 'isBrief'>,
    private readonly placement: CohortPlacement,
    private readonly mode: () => Mode,
  ) {
    this.brief = briefActivities(input.isBrief ?? false);
    setHandler(grantedSignal, (lease) => {
      const held = this.held.get(lease.id);
      if (lease.id === this.open) this.granted = lease;
      else if (held === undefined) this.unwanted.push(lease.id);
      // The pool decided again, as what it had decided was lost with its worker.
      else if (held.lease.trainer.address !== lease.trainer.address) revoke(held);
    });
    setHandler(revokedSignal, (id) => {
      const held = this.held.get(id);
      if (held === undefined) {
        this.revokedEarly.add(id);
        return;
      }
      revoke(held);
    });
    setHandler(leasesQuery, () => this.describe());
    void this.returnUnwanted();
  }

  private describe(): KnownLease[] {
    const cohort = workflowInfo().workflowId;
    const { kind, dataset } = this.placement;
    return [...this.held.values()]
      .filter(({ revoked, released }) => !revoked && !released)
      .map(({ lease: { id, trials, trainer } }) => ({
        ...{ id, cohort, sweepId: this.input.sweepId, kind, dataset, trials },
        ...{ name: trainer.name, address: trainer.address },
      }));
  }

  private async returnUnwanted(): Promise<never> {
    for (;;) {
      await condition(() => this.unwanted.length > 0);
      await this.releaseUnwanted();
    }
  }

  /** Waits for a trainer; null if the mode changes first, or it is waited for in vain. */
  async acquire(
    trials: number,
    avoid: string[],
    isInVain: () => boolean,
  ): Promise<HeldTrainer | null> {
    const cohort = workflowInfo().workflowId;
    const id = `${cohort}#${++this.asked}`;
    const { sweepId } = this.input;
    const isFirst = this.asked === 1;
    const request = { id, cohort, sweepId, isFirst, trials, avoid, ...this.placement };
    this.open = id;
    const isDecided = () => this.granted !== null || this.mode() !== 'run' || isInVain();
    let pause = ASK_AGAIN_MS;
    do {
      await this.brief.askForTrainer(request);
      if (await condition(isDecided, pause)) break;
      pause = Math.min(2 * pause, LONGEST_ASK_AGAIN_MS);
    } while (!isDecided());
    const lease = this.granted;
    this.open = null;
    this.granted = null;
    if (lease === null) {
      // What it has become by then ends with it.
      await this.brief.withdrawRequest(id);
      return null;
    }
    const taken = new Set([...this.held.values()].map(({ part }) => part));
    let part = 0;
    while (taken.has(part)) part++;
    const revoked = this.revokedEarly.has(id);
    const held = { lease, part, revoked, released: false, onRevoked: () => undefined };
    this.held.set(id, held);
    return held;
  }

  /** Gives the trainer back; the part keeps its number until `end`. */
  async release(held: HeldTrainer, how: Omit<Release, 'id'>): Promise<void> {
    held.released = true;
    const { id } = held.lease;
    await this.brief.releaseTrainer({ id, ...how });
  }

  /** The part has nothing more to write. */
  end({ lease: { id } }: HeldTrainer): void {
    this.held.delete(id);
  }

  /** Gives back what came after it was no longer wanted. */
  async releaseUnwanted(): Promise<void> {
    for (const id of this.unwanted.splice(0))
      await this.brief.releaseTrainer({ id, outcome: 'returned', why: null, job: null });
  }
}
