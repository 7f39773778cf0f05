/** How many trials a trainer gets at once. */
import { ask, noteReports, place, release } from '../../../workflows/placement';
import type { PoolState } from '../../../workflows/pool-messages';
import { fresh, trainer } from '../support/pool-states';

const SECOND = 1000;

describe('the size of parts', () => {
  let state: PoolState;
  let now = 0;
  let asked = 0;
  const request = (sweepId: string, trials: number) => ({
    ...{ id: `c#${asked}`, cohort: 'c', sweepId, dataset: 'd', trials, cohorts: 100 },
    ...{ isFirst: false, avoid: [], priority: 1, kind: null },
  });
  /** Gives a trainer a part of so many trials at most, which ends after so long. */
  function grant(
    seconds: number,
    sweepId = 's',
    trials = 100,
    outcome: 'done' | 'failed' = 'done',
  ) {
    const id = `c#${++asked}`;
    ask(state, request(sweepId, trials), now);
    const [{ lease }] = place(state, now) as [ReturnType<typeof place>[0]];
    now += seconds * SECOND;
    release(state, { id, outcome, why: null, job: null }, now);
    return lease.trials;
  }

  beforeEach(() => {
    state = fresh();
    noteReports(state, [trainer('a', { maxCohort: 10, largestCohort: 32 })], now);
  });

  test('doubles after brief parts, up to the most that the trainer takes', () => {
    expect([grant(2), grant(2), grant(2), grant(2)]).toEqual([10, 20, 25, 25]);
  });

  test('stays as the trainer likes it while parts take their time', () => {
    expect([grant(30), grant(600), grant(11)]).toEqual([10, 10, 10]);
  });

  test('goes back once a larger part takes long, or the trainer fails', () => {
    expect([grant(2), grant(61), grant(2), grant(2, 's', 100, 'failed'), grant(2)]).toEqual([
      10, 20, 10, 20, 10,
    ]);
  });

  test('is of one sweep, and a rest says what a whole part would take at most', () => {
    expect([grant(2), grant(2, 'other')]).toEqual([10, 10]);
    expect([grant(5, 'slow', 3), grant(5, 'slow')]).toEqual([3, 10]);
    expect([grant(2, 'fast', 3), grant(2, 'fast')]).toEqual([3, 20]);
  });

  test('is the same for all parts of a cohort', () => {
    expect([grant(20, 's', 32), grant(20, 's', 24), grant(20, 's', 16)]).toEqual([8, 8, 8]);
  });

  test('is no more than a trainer of an earlier version says', () => {
    state = fresh();
    noteReports(state, [trainer('a', { maxCohort: 10 })], now);
    expect([grant(2), grant(2)]).toEqual([10, 10]);
  });
});
