/** The pool's decisions. */
import {
  ask,
  forgetCohorts,
  nextRevocation,
  noteReports,
  place,
  release,
  revoke,
  servedSeconds,
  takeOrphans,
  withdraw,
} from '../../../workflows/placement';
import type { PlacementRequest, PoolState, TrainerReport } from '../../../workflows/pool-messages';
import type { JobRef } from '../../../workflows/messages';
import { fresh, trainer } from '../support/pool-states';

const SECOND = 1000;

const request = (cohort: string, more: Partial<PlacementRequest> = {}): PlacementRequest => ({
  ...{ id: `${cohort}#1`, cohort, sweepId: 's', dataset: 'd', trials: 8, cohorts: 1 },
  ...{ isFirst: true, avoid: [] },
  ...{ priority: 1, kind: null, ...more },
});
function pool(trainers: TrainerReport[], requests: PlacementRequest[]): PoolState {
  const state = fresh();
  noteReports(state, trainers, 0);
  for (const each of requests) ask(state, each, 0);
  return state;
}
/** `<cohort>@<trainer>:<trials>` */
const placed = (state: PoolState, now = 0): string[] =>
  place(state, now).map(({ cohort, lease }) => `${cohort}@${lease.trainer.name}:${lease.trials}`);
const done = (state: PoolState, id: string, now: number): void =>
  release(state, { id, outcome: 'done', why: null, job: null }, now);

describe('shares', () => {
  test('a trainer gets all trials of a cohort if there is a cohort for each', () => {
    const state = pool([trainer('a'), trainer('b')], [request('x'), request('y'), request('z')]);
    expect(placed(state)).toEqual(['x@a:8', 'y@b:8']);
  });

  test('a lone cohort is shared out, also as it asks again for the rest', () => {
    const state = pool(
      ['a', 'b', 'c'].map((name) => trainer(name)),
      [request('x')],
    );
    expect(placed(state)).toEqual(['x@a:3']);
    ask(state, request('x', { id: 'x#2', isFirst: false, trials: 5 }), 0);
    expect(placed(state)).toEqual(['x@b:3']);
    ask(state, request('x', { id: 'x#3', isFirst: false, trials: 2 }), 0);
    expect(placed(state)).toEqual(['x@c:2']);
  });

  test('it is not shared out if other cohorts are still to ask', () => {
    const state = pool([trainer('a'), trainer('b')], [request('x', { cohorts: 4 })]);
    expect(placed(state)).toEqual(['x@a:8']);
  });

  test('nor if others of its sweep are about to ask; once they have, what is left is', () => {
    const state = pool(
      ['a', 'b', 'c', 'd'].map((name) => trainer(name)),
      [request('x', { cohorts: 2 })],
    );
    expect(placed(state)).toEqual(['x@a:4']);
    ask(state, request('y', { cohorts: 2 }), 0);
    ask(state, request('x', { id: 'x#2', isFirst: false, trials: 4, cohorts: 2 }), 0);
    expect(placed(state)).toEqual(['y@b:8', 'x@c:2']);
  });

  test('no trainer gets more than it takes, or more cohorts than it has slots', () => {
    const two = trainer('a', { maxCohort: 3, slots: 2 });
    const state = pool(
      [two],
      ['x', 'y', 'z'].map((id) => request(id)),
    );
    expect(placed(state)).toEqual(['x@a:3', 'y@a:3']);
    done(state, 'x#1', SECOND);
    expect(placed(state)).toEqual(['z@a:3']);
  });
});

describe('whose turn it is', () => {
  test('the sweep that had least time is next, whatever the number of its cohorts', () => {
    const state = pool(
      [trainer('a')],
      [request('x1', { sweepId: 'x' }), request('y1', { sweepId: 'y' })],
    );
    expect(placed(state, 0)).toEqual(['x1@a:8']);
    ask(state, request('x2', { sweepId: 'x' }), 0);
    done(state, 'x1#1', 30 * SECOND);
    // y has a turn until it has had as much.
    for (const [i, now] of [30, 40, 50].entries()) {
      expect(placed(state, now * SECOND)).toEqual([`y${i + 1}@a:8`]);
      ask(state, request(`y${i + 2}`, { sweepId: 'y' }), now * SECOND);
      done(state, `y${i + 1}#1`, (now + 11) * SECOND);
    }
    expect(placed(state, 61 * SECOND)).toEqual(['x2@a:8']);
  });

  test('one that comes later is not owed what others had before', () => {
    const state = pool([trainer('a')], [request('x1', { sweepId: 'x' })]);
    placed(state, 0);
    ask(state, request('y1', { sweepId: 'y' }), 100 * SECOND);
    expect(servedSeconds(state, 'y', 100 * SECOND)).toBe(100);
  });

  test('a higher priority goes before', () => {
    const state = pool([trainer('a')], [request('x'), request('y', { priority: 2 })]);
    expect(placed(state)).toEqual(['y@a:8']);
  });
});

describe('which trainer', () => {
  test('one of the right kind that knows the data', () => {
    const state = pool(
      [trainer('gpu', { kind: 'torch on H100' }), trainer('a'), trainer('b')],
      [request('x', { kind: 'torch on cpu', cohorts: 10 })],
    );
    state.members[2]!.datasets = ['d'];
    expect(placed(state)).toEqual(['x@b:8']);
  });

  test('a sweep that goes on after a pause is shared out again', () => {
    const state = pool(
      ['a', 'b'].map((name) => trainer(name)),
      [],
    );
    ask(state, request('x', { id: 'x#2', isFirst: false, cohorts: 8 }), 0);
    expect(placed(state)).toEqual(['x@a:4']);
  });

  test('one set aside is used if the others are those where the trials failed', () => {
    const state = pool([trainer('a'), trainer('b')], [request('x', { avoid: ['a'] })]);
    state.members[1]!.state = 'aside';
    expect(placed(state)).toEqual(['x@b:8']);
  });

  test('what says nothing of a trainer does not make it good again', () => {
    const state = pool([trainer('a')], [request('x')]);
    state.members[0]!.failuresInARow = 2;
    placed(state);
    release(state, { id: 'x#1', outcome: 'returned', why: null, job: null }, 0);
    expect(state.members[0]!.failuresInARow).toBe(2);
  });

  test('none that cannot run the sweep, until it is another one or was away', () => {
    const state = pool([trainer('a')], [request('x')]);
    placed(state);
    release(state, { id: 'x#1', outcome: 'unfit', why: 'no pruner grasp', job: null }, 0);
    ask(state, request('x', { id: 'x#2' }), 0);
    expect(placed(state)).toEqual([]);
    expect(state.members[0]!.unfit).toEqual({ s: { why: 'no pruner grasp', since: 0 } });
    noteReports(state, [trainer('a', { kind: 'tfjs on cpu' })], 0);
    expect(placed(state)).toEqual(['x@a:8']);
    release(state, { id: 'x#2', outcome: 'unfit', why: 'no pruner grasp', job: null }, 0);
    noteReports(state, [trainer('a', { kind: 'tfjs on cpu', state: 'away' })], SECOND);
    noteReports(state, [trainer('a', { kind: 'tfjs on cpu' })], 2 * SECOND);
    expect(state.members[0]!.unfit).toEqual({});
  });

  test('the one where trials failed is tried again only if there is no other', () => {
    const again = request('x', { avoid: ['a'] });
    expect(placed(pool([trainer('a'), trainer('b')], [again]))).toEqual(['x@b:8']);
    expect(placed(pool([trainer('a')], [again]))).toEqual(['x@a:8']);
    const busy = pool([trainer('a'), trainer('b')], [request('w', { avoid: ['a'] })]);
    placed(busy);
    ask(busy, again, 0);
    expect(placed(busy)).toEqual([]);
  });

  test('three failures in a row set it aside; a success, or ten minutes, end that', () => {
    const state = pool([trainer('a'), trainer('b')], []);
    const fail = (n: number, now = 0) => {
      ask(state, request(`x${n}`, { cohorts: 10 }), now);
      const [where] = placed(state, now);
      release(state, { id: `x${n}#1`, outcome: 'failed', why: 'broken', job: null }, now);
      return where!.split('@')[1]!.split(':')[0];
    };
    expect([fail(1), fail(2), fail(3)]).toEqual(['a', 'a', 'a']);
    expect(state.members[0]).toMatchObject({
      state: 'aside',
      why: 'failed 3 times in a row: broken',
    });
    expect(fail(4)).toBe('b');
    // It still looks well from outside.
    noteReports(state, [trainer('a'), trainer('b')], 0);
    expect(state.members[0]!.state).toBe('aside');
    state.members[1]!.slots = 0;
    ask(state, request('y'), 9 * 60 * SECOND);
    expect(placed(state, 9 * 60 * SECOND)).toEqual([]);
    expect(placed(state, 10 * 60 * SECOND)).toEqual(['y@a:8']);
    done(state, 'y#1', 11 * 60 * SECOND);
    expect(state.members[0]).toMatchObject({ state: 'ready', failuresInARow: 0 });
  });

  test('the last one is never set aside', () => {
    const state = pool([trainer('a')], []);
    for (let n = 0; n < 5; n++) {
      ask(state, request(`x${n}`), 0);
      expect(placed(state)).toEqual([`x${n}@a:8`]);
      release(state, { id: `x${n}#1`, outcome: 'failed', why: 'broken', job: null }, 0);
    }
  });
});

describe('trainers that go', () => {
  const job = { cohortId: 'c' } as JobRef;

  test('keep their work for the grace, and longer if nobody else can do it', () => {
    const state = pool(
      [trainer('a'), trainer('gpu', { kind: 'x' })],
      [request('x', { kind: 'torch on cpu' })],
    );
    placed(state);
    const away = trainer('a', { state: 'away', why: 'dead' });
    noteReports(state, [away], 10 * SECOND);
    // Nothing is to be done as long as there is nobody else.
    expect(nextRevocation(state)).toBe(Infinity);
    expect(revoke(state, 70 * SECOND)).toEqual([]);
    noteReports(state, [away, trainer('b')], 20 * SECOND);
    expect(nextRevocation(state)).toBe(70 * SECOND);
    expect(revoke(state, 69 * SECOND)).toEqual([]);
    noteReports(state, [trainer('a', { state: 'away', why: 'dead' }), trainer('b')], 71 * SECOND);
    expect(revoke(state, 71 * SECOND)).toMatchObject([{ id: 'x#1', address: 'a' }]);
    expect(revoke(state, 72 * SECOND)).toEqual([]);
  });

  test('lose it after the grace if no list names them any more, even to nobody', () => {
    const state = pool([trainer('a'), trainer('b')], [request('x', { cohorts: 2 })]);
    placed(state);
    noteReports(state, [trainer('b')], SECOND);
    expect(state.members.map(({ name, state: its }) => `${name} ${its}`)).toEqual([
      'a gone',
      'b ready',
    ]);
    // A list that is being written anew is no reason.
    noteReports(state, [trainer('a'), trainer('b')], 2 * SECOND);
    expect(nextRevocation(state)).toBe(Infinity);
    noteReports(state, [], 3 * SECOND);
    expect(nextRevocation(state)).toBe(63 * SECOND);
    expect(revoke(state, 63 * SECOND)).toHaveLength(1);
    expect(nextRevocation(state)).toBe(Infinity);
    release(state, { id: 'x#1', outcome: 'lost', why: null, job }, 64 * SECOND);
    noteReports(state, [trainer('b')], 65 * SECOND);
    expect(state.members).toHaveLength(1);
    expect(takeOrphans(state)).toEqual([]);
    // Back after all: what it still runs is to be stopped.
    noteReports(state, [trainer('a'), trainer('b')], 66 * SECOND);
    expect(takeOrphans(state)).toEqual([{ address: 'a', job }]);
    expect(state.orphans).toEqual([]);
  });

  test('a request that is taken back ends the lease that it has become', () => {
    const state = pool([trainer('a')], [request('x')]);
    placed(state);
    withdraw(state, 'x#1', SECOND);
    expect(state).toMatchObject({ leases: [], requests: [] });
    expect(servedSeconds(state, 's', SECOND)).toBe(1);
  });

  test('a cohort that is no more has neither trainer nor request', () => {
    const state = pool([trainer('a')], [request('x'), request('y')]);
    placed(state);
    forgetCohorts(state, ['x', 'y'], SECOND);
    expect(state).toMatchObject({ leases: [], requests: [] });
    done(state, 'x#1', SECOND);
    expect(servedSeconds(state, 's', SECOND)).toBe(1);
  });

  test('asking twice is asking once', () => {
    const state = pool([trainer('a')], [request('x'), request('x')]);
    expect(placed(state)).toEqual(['x@a:8']);
    ask(state, request('x'), 0);
    expect(state.requests).toEqual([]);
  });
});
