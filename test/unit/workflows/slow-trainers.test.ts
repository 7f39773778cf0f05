/** Trainers that are far slower than the others, and what they get. */
import { ask, noteReports, place, release } from '../../../workflows/placement';
import type { PlacementRequest, PoolState } from '../../../workflows/pool-messages';
import { ASIDE_MS, findSlowness } from '../../../workflows/slow-trainers';
import { fresh, trainer } from '../support/pool-states';

const SECOND = 1000;

let asked = 0;
const request = (more: Partial<PlacementRequest> = {}): PlacementRequest => ({
  ...{ id: `x#${++asked}`, cohort: 'x', sweepId: 's', dataset: 'd', trials: 10, cohorts: 1 },
  ...{ isFirst: false, avoid: [], priority: 1, kind: null, ...more },
});

/** Trainers by name, each with the paces of parts that it has had of sweep s. */
function poolWith(paces: Record<string, number[]>, more: Partial<PlacementRequest> = {}) {
  const state = fresh();
  noteReports(
    state,
    Object.keys(paces).map((name) => trainer(name)),
    0,
  );
  const rounds = Math.max(...Object.values(paces).map(({ length }) => length));
  for (let round = 0; round < rounds; round++)
    for (const [name, own] of Object.entries(paces))
      if (round < own.length) train(state, name, own[round]!, more);
  return state;
}

/** A part that a trainer is given, whatever else is free. */
function train(
  state: PoolState,
  name: string,
  rowsPerSecond: number,
  more: Partial<PlacementRequest> = {},
): void {
  const all = state.members;
  state.members = all.filter((member) => member.name === name);
  const wanted = request(more);
  ask(state, wanted, 0);
  expect(place(state, 0)).toHaveLength(1);
  state.members = all;
  release(state, { id: wanted.id, outcome: 'done', why: null, job: null, rowsPerSecond }, 0);
}

const slownessOf = (state: PoolState, name: string, now = 0) =>
  findSlowness(
    state.members.find((member) => member.name === name)!,
    now,
  );
const placed = (state: PoolState, now = 0): string[] =>
  place(state, now).map(({ lease }) => `${lease.trainer.name}:${lease.trials}`);

describe('a trainer is slow', () => {
  test('after three parts in a row below a quarter of the median of the others', () => {
    const paces = { a: [100, 100, 100], b: [80, 120, 90] };
    expect(slownessOf(poolWith({ ...paces, c: [20, 20] }), 'c')).toBeNull();
    expect(slownessOf(poolWith({ ...paces, c: [20, 26, 20] }), 'c')).toBeNull();
    const state = poolWith({ ...paces, c: [26, 20, 15, 10] });
    expect(slownessOf(state, 'c')).toEqual({ ratio: 0.15, own: 10, usual: 100 });
    expect(slownessOf(state, 'a')).toBeNull();
  });

  test('for ten minutes, and until a part goes well', () => {
    const state = poolWith({ a: [100, 100, 100], c: [10, 10, 10] });
    expect(slownessOf(state, 'c', ASIDE_MS - 1)).not.toBeNull();
    expect(slownessOf(state, 'c', ASIDE_MS)).toBeNull();
    train(state, 'c', 90);
    expect(slownessOf(state, 'c')).toBeNull();
  });

  test.each([
    ['another data set', { dataset: 'long texts' }],
    ['another sweep', { sweepId: 'other' }],
    ['fewer trials at once', { trials: 2 }],
  ])('never by what others did with %s', (_, more) => {
    const state = poolWith({ a: [100, 100, 100] });
    noteReports(state, [trainer('a'), trainer('c')], 0);
    for (let part = 0; part < 3; part++) train(state, 'c', 10, more);
    expect(slownessOf(state, 'c')).toBeNull();
  });

  test('never by what another kind of trainer did, or if nobody says how fast it was', () => {
    const state = poolWith({ a: [100, 100, 100], c: [10, 10, 10] });
    const gpu = { ...state, members: [] };
    noteReports(gpu, [trainer('a', { kind: 'torch on an H100' }), trainer('c')], 0);
    for (let part = 0; part < 3; part++) {
      train(gpu, 'a', 1000);
      train(gpu, 'c', 10);
    }
    expect(slownessOf(gpu, 'c')).toBeNull();
  });
});

describe('a slow trainer', () => {
  const paces = { a: [100, 100, 100], b: [100, 100, 100], c: [10, 10, 10] };

  test('gets nothing of what the others at work on the sweep end sooner without it', () => {
    const state = poolWith(paces);
    for (let part = 0; part < 4; part++) ask(state, request(), 0);
    expect(placed(state)).toEqual(['a:10', 'b:10']);
    const [first] = state.leases;
    release(state, { id: first!.id, outcome: 'done', why: null, job: null }, SECOND);
    expect(placed(state, SECOND)).toEqual(['a:10']);
  });

  test('gets work, after the others, while there is so much that it is of use', () => {
    const state = poolWith(paces);
    // 210 trials wait for two others; it does its 10 in the time in which one of them does 100.
    for (let part = 0; part < 23; part++) ask(state, request(), 0);
    expect(placed(state)).toEqual(['a:10', 'b:10', 'c:10']);
  });

  test('counts cohorts that have not asked yet', () => {
    const state = poolWith(paces);
    ask(state, request({ isFirst: true, cohorts: 30 }), 0);
    for (let part = 0; part < 2; part++) ask(state, request({ cohorts: 30 }), 0);
    expect(placed(state)).toEqual(['a:10', 'b:10', 'c:10']);
  });

  test('gets work if nobody else works on the sweep', () => {
    const state = poolWith(paces);
    for (let part = 0; part < 2; part++) ask(state, request({ sweepId: 'long' }), 0);
    expect(placed(state)).toEqual(['a:10', 'b:10']);
    ask(state, request(), 0);
    expect(placed(state)).toEqual(['c:10']);
  });

  test('gets work once the others are away', () => {
    const state = poolWith(paces);
    for (let part = 0; part < 3; part++) ask(state, request(), 0);
    expect(placed(state)).toEqual(['a:10', 'b:10']);
    const away = { state: 'away', why: 'silent' } as const;
    noteReports(state, [trainer('a', away), trainer('b', away), trainer('c')], SECOND);
    expect(placed(state, SECOND)).toEqual(['c:10']);
  });
});
