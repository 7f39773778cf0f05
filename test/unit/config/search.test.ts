/** The key `search`: which axes are chosen on held-out rows, and from what. */
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { expectOneProblem, listProblems, load } from '../support/sweep-file';

const RATES = 'tasks: mrpc\ntrain: {learning_rate: [3e-4, 1e-3, 3e-3], dropout: [0, 0.1]}\n';

/** The values of each candidate, by variant, of the first line. */
function listCandidates(yaml: string, line = 0) {
  return load(yaml).tasks[0]!.lines[line]!.map(({ candidates }) =>
    candidates.map(({ values }) => values),
  );
}

describe('a search', () => {
  test('has its own seeds and a tenth of the training rows, unless it says more', () => {
    expect(load(`${RATES}search: {over: learning_rate}`).search).toEqual({
      over: ['learning_rate'],
      hold_out: 0.1,
      seeds: [101, 102],
      random: null,
      stop_early: null,
    });
    const own =
      'search: {over: [dropout], on: {hold_out: 0.2}, seeds: [7-9], try: grid, ' +
      'stop_early: {rungs: [0.25, 0.5], keep: 0.34}}';
    expect(load(RATES + own).search).toMatchObject({
      hold_out: 0.2,
      seeds: [7, 8, 9],
      stop_early: { rungs: [0.25, 0.5], keep: 0.34 },
    });
  });

  test('may be asynchronous, and is not unless it says so', () => {
    const stopEarly = (more: string) =>
      load(`${RATES}search: {over: dropout, stop_early: {rungs: [0.5], keep: 0.5${more}}}`).search!
        .stop_early;
    expect(stopEarly(', asynchronous: true')).toHaveProperty('asynchronous', true);
    for (const more of ['', ', asynchronous: false'])
      expect(stopEarly(more)).toEqual({ rungs: [0.5], keep: 0.5 });
  });

  test('takes its axes out of what is compared', () => {
    expect(listCandidates(`${RATES}search: {over: [learning_rate]}`)).toEqual([
      [{ learning_rate: 3e-4 }, { learning_rate: 1e-3 }, { learning_rate: 3e-3 }],
      [{ learning_rate: 3e-4 }, { learning_rate: 1e-3 }, { learning_rate: 3e-3 }],
    ]);
    const [both] = listCandidates(`${RATES}search: {over: [learning_rate, dropout]}`);
    expect(both!.slice(0, 3)).toEqual([
      { learning_rate: 3e-4, dropout: 0 },
      { learning_rate: 3e-4, dropout: 0.1 },
      { learning_rate: 1e-3, dropout: 0 },
    ]);
  });

  test('a line with one value has nothing to choose', () => {
    const yaml =
      `${RATES}compare: [{pruner: none}, {pruner: none, train: {learning_rate: 5e-4, ` +
      'dropout: 0}}]\nsearch: {over: [learning_rate]}';
    expect(listCandidates(yaml, 1)).toEqual([[{ learning_rate: 5e-4 }]]);
  });

  test('draws by logarithm, to three digits, the same for every line and file', () => {
    const yaml =
      'tasks: mrpc\ncompare: [{pruner: none}, {pruner: mag, sparsity: 0.4}]\n' +
      'train: {learning_rate: {from: 1e-4, to: 1e-2}, batch_size: [16, 32]}\n' +
      'search: {over: [learning_rate, batch_size], try: {random: 40}}';
    const [drawn] = listCandidates(yaml);
    expect(drawn!.length).toBeGreaterThan(35);
    expect(listCandidates(yaml, 1)).toEqual([drawn]);
    const rates = drawn!.map(({ learning_rate }) => learning_rate as number);
    expect(rates.slice(0, 3)).toEqual([0.00708, 0.000799, 0.00824]);
    for (const rate of rates) expect(Number(rate.toPrecision(3))).toBe(rate);
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1e-2);
    const small = rates.filter((rate) => rate < 1e-3).length / rates.length;
    expect(small).toBeGreaterThan(0.3);
    expect(small).toBeLessThan(0.7);
    expect(new Set(drawn!.map(({ batch_size }) => batch_size))).toEqual(new Set([16, 32]));
  });

  test('of a profile is merged key by key, and none switches it off', () => {
    const yaml =
      `${RATES}search: {over: [learning_rate], seeds: [5]}\n` +
      'profiles: {a: {search: {on: {hold_out: 0.3}}}, b: {search: none}, c: {search: null}}';
    expect(load(yaml, { profile: 'a' }).search).toMatchObject({ seeds: [5], hold_out: 0.3 });
    for (const profile of ['b', 'c']) {
      const config = load(yaml, { profile });
      expect(config.search).toBeNull();
      expect(config.tasks[0]!.lines[0]).toHaveLength(6);
    }
  });

  test('is none where the file has none, and for the flags of a single trial', () => {
    expect(load(RATES).search).toBeNull();
    expect(sweepConfigFrom('run', { tasks: 'mrpc' }).search).toBeNull();
  });
});

describe('a wrong search', () => {
  test.each([
    ['search: {}', '3: search.over: is missing; must be keys of train, for example'],
    [
      'search: {over: [lr]}',
      '3: search.over[0]: "lr" is not allowed; must be one of epochs, steps,',
    ],
    [
      'search: {over: [batch_size]}',
      '3: search.over: batch_size has one value everywhere, so that there is nothing to search; ' +
        'must be a list under train, here or in a task or a line of compare',
    ],
    [
      'search: {over: learning_rate, seeds: [3, 4]}',
      '3: search.seeds: 3 is a seed of the sweep, too; must be others',
    ],
    [
      'search: {over: learning_rate, on: {hold_out: 1}}',
      '3: search.on.hold_out: 1 is not allowed; must be a number in (0, 1)',
    ],
    [
      'search: {over: learning_rate, on: {file: held.csv}}',
      '3: search.on.file: "held.csv" is not allowed; must be left out: held-out rows are a part',
    ],
    [
      'search: {over: learning_rate, stop_early: {rungs: [0.5]}}',
      '3: search.stop_early.keep: is missing; must be a number in (0, 1)',
    ],
    [
      'search: {over: learning_rate, stop_early: {rungs: [0.5, 0.25], keep: 0.5}}',
      '3: search.stop_early.rungs: [0.5,0.25] is not allowed; must be growing numbers in (0, 1)',
    ],
    [
      'search: {over: learning_rate, stop_early: {rungs: [0.5, 1], keep: 0.5}}',
      '3: search.stop_early.rungs[1]: 1 is not allowed; must be a number in (0, 1)',
    ],
    [
      'search: {over: learning_rate, stop_early: {rungs: [0.5], keep: 0.5, asynchronous: 2}}',
      '3: search.stop_early.asynchronous: 2 is not allowed; must be true or false',
    ],
    [
      'search: {over: learning_rate, try: tpe}',
      '3: search.try: "tpe" is not allowed; must be grid, or a number of drawn candidates',
    ],
    ['search: {over: learning_rate, try: {random: 0}}', '3: search.try.random: 0 is not allowed'],
  ])('%s', (line, message) => expectOneProblem(RATES + line, message));

  test('has a range that it does not draw from', () => {
    expect(
      listProblems(
        'tasks: mrpc\ncompare:\n  - pruner: none\n    train:\n' +
          '      learning_rate: {from: 1e-4, to: 1e-2}\nsearch: {over: [learning_rate]}',
      ),
    ).toEqual([
      '5: compare[0].train.learning_rate: a range is only for a search that draws from it; must ' +
        'be a list, or the file needs search: {over: [learning_rate], try: {random: 20}}',
    ]);
  });

  test('shares seeds that the command line gives', () => {
    const yaml = `${RATES}search: {over: learning_rate}`;
    expect(listProblems(yaml, { overrides: { seeds: [101, 102] } })[0]).toContain(
      '3: search.seeds: 101, 102 are seeds of the sweep, too',
    );
  });
});
