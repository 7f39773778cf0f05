/** Stops a sweep in which one cohort after the other fails in the same way. Pure. */
import type { CohortOutcome, Failed } from './messages';

/**
 * Counts cohorts that failed alike since one last got somewhere. What broke them (a missing
 * backbone, a full disk, a faulty driver) would break the others, too.
 */
export class FailureBudget {
  private readonly failures = new Map<string, number>();
  private message: string | null = null;

  /** limit: how many cohorts may fail alike; 0: any number. */
  constructor(private readonly limit: number) {}

  /** Why no more cohorts should start; null while they may. */
  get spent(): string | null {
    return this.message;
  }

  note(outcome: Pick<CohortOutcome, 'done' | 'measured' | 'failure'>): void {
    const { failure } = outcome;
    if (!cameToNothing(outcome)) this.failures.clear();
    if (!failure) return;
    const kind = describeKind(failure);
    const count = (this.failures.get(kind) ?? 0) + 1;
    this.failures.set(kind, count);
    if (this.limit > 0 && count >= this.limit) {
      const cohorts = count === 1 ? '1 cohort' : `${count} cohorts`;
      this.message ??= `${cohorts} failed alike: ${failure.reason}: ${failure.message}`;
    }
  }
}

/** Whether no trial got as far as it was to. */
export const cameToNothing = ({
  done,
  measured = 0,
}: Pick<CohortOutcome, 'done' | 'measured'>): boolean => done + measured === 0;

/**
 * What broke all of these trials, which came to nothing; undefined if they failed for different
 * reasons, or for one that is a trial's own and says nothing about others.
 */
export function findCommonFailure(failures: readonly Failed[]): Failed | undefined {
  const [first] = failures;
  if (first === undefined || OF_THE_TRIAL.includes(first.reason)) return undefined;
  return new Set(failures.map(describeKind)).size === 1 ? first : undefined;
}

const OF_THE_TRIAL = ['cancelled', 'non_finite', 'degenerate_mask', 'time_limit'];

/** Two failures are alike if they differ only in ids, paths, addresses and numbers. */
const describeKind = ({ reason, message }: Failed): string =>
  `${reason}: ${message.replace(/[\w./:@-]*\d[\w./:@-]*/g, '#')}`;
