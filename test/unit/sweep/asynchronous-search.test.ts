/** A search that is asynchronous: choices are those of one that waits, whatever arrives when. */
import { seededRandom } from '../../../orchestrator/base/seeded-random';
import { decideSearch, isSearching } from '../../../orchestrator/sweep/search';
import { findRungStep } from '../../../orchestrator/sweep/rungs';
import type { Plan, Trial, TrialResult } from '../../../orchestrator/sweep/types';
import { buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

const RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2];
const STOP_EARLY = { rungs: [0.25, 0.5], keep: 0.5 };
const SEARCH_SEEDS = [101, 102];

const plans = (keep: number, rates = RATES): [waiting: Plan, asynchronous: Plan] => [
  searchPlan([1, 2, 3], { ...STOP_EARLY, keep }, rates),
  searchPlan([1, 2, 3], { ...STOP_EARLY, keep, asynchronous: true }, rates),
];
const [waiting, asynchronous] = plans(STOP_EARLY.keep);

/** How trials do: a number for each of them and each of its steps, many of them equal. */
function drawScores(seed: number): (trial: Trial, step: number) => number {
  return ({ id }, step) => {
    const random = seededRandom(Number.parseInt(id.slice(1, 8), 16) + 1000 * seed + step);
    return Math.floor(random() * 6) / 10;
  };
}

/** Results of a sweep under way, as its decisions read them. */
class Progress {
  readonly results = new Map<string, TrialResult>();
  private readonly atSteps = new Map<string, TrialResult>();

  constructor(private readonly score: (trial: Trial, step: number) => number) {}

  measure(plan: Plan, trial: Trial, until: number | undefined): void {
    const step = until ?? trial.train.total_steps;
    const metrics = { accuracy: this.score(trial, step), f1: 0.5 };
    const stopped_at = { step, total_steps: trial.train.total_steps };
    if (until === undefined) this.results.set(trial.id, buildResult(plan, trial, metrics));
    else
      this.atSteps.set(
        `${trial.id} ${step}`,
        buildResult(plan, trial, metrics, { status: 'stopped', stopped_at }),
      );
  }

  fail(plan: Plan, trial: Trial): void {
    this.results.set(trial.id, buildResult(plan, trial, {}, { status: 'failed' }));
  }

  /** All that follows from the plan by now. */
  decide(plan: Plan): Plan {
    const next = decideSearch(plan, [...this.results.values()], this.readNextRung(plan));
    return next === null || next === plan ? plan : this.decide(next);
  }

  private readNextRung({ search, trials }: Plan): Map<string, TrialResult> {
    const found = new Map<string, TrialResult>();
    for (const { candidates, went_on: decided = [], chosen } of search!.choices) {
      const fraction = search!.stop_early!.rungs[decided.length];
      if (chosen !== undefined || fraction === undefined) continue;
      for (const id of candidates.flatMap((candidate) => candidate.trials)) {
        const trial = trials.find((each) => each.id === id)!;
        const measured = this.atSteps.get(`${id} ${findRungStep(trial, fraction)}`);
        if (measured) found.set(id, measured);
      }
    }
    return found;
  }
}

/** What is to be trained: trials of the search, each until where its cohorts take it. */
function listWork(plan: Plan): { trial: Trial; until: number | undefined; key: string }[] {
  return plan.cohorts.flatMap(({ trials, until_step: until }) =>
    trials.flatMap((id) => {
      const trial = plan.trials.find((each) => each.id === id)!;
      return SEARCH_SEEDS.includes(trial.seed) ? [{ trial, until, key: `${id} ${until}` }] : [];
    }),
  );
}

/** Runs a search's trials one at a time in an order that is drawn, deciding after each. */
function run(first: Plan, scores: number, order: number, fails: (trial: Trial) => boolean) {
  const random = seededRandom(order);
  const progress = new Progress(drawScores(scores));
  const through: string[] = [];
  let [plan, whileOthersRan] = [first, 0];
  for (;;) {
    const left = listWork(plan).filter(({ key }) => !through.includes(key));
    if (left.length === 0) return { plan, through, whileOthersRan };
    const { trial, until, key } = left[Math.floor(random() * left.length)]!;
    if (fails(trial)) progress.fail(plan, trial);
    else progress.measure(plan, trial, until);
    through.push(key);
    const next = progress.decide(plan);
    if (next !== plan && left.length > 1) whileOthersRan++;
    plan = next;
  }
}

const never = () => false;
const pick = ({ search }: Plan) =>
  search!.choices.map(({ went_on, chosen, ahead }) => ({ went_on, chosen, ahead }));

describe('an asynchronous search', () => {
  test('has the same trials, so that a sweep may be edited to be one', () => {
    const { search, ...plan } = asynchronous;
    expect(plan).toEqual({ ...waiting, search: undefined });
    expect(search!.stop_early).toEqual({ ...STOP_EARLY, asynchronous: true });
  });

  test('chooses as one that waits, on as many trials, in every order of arrival', () => {
    for (let scores = 0; scores < 20; scores++) {
      const standard = run(waiting, scores, 1, never);
      expect(isSearching(standard.plan)).toBe(false);
      for (let order = 0; order < 5; order++) {
        const { plan, through } = run(asynchronous, scores, order, never);
        expect(pick(plan)).toEqual(pick(standard.plan));
        expect(through.toSorted()).toEqual(standard.through.toSorted());
      }
    }
  });

  test('goes on while others are at work, where one that waits never does', () => {
    expect(run(waiting, 3, 1, never).whileOthersRan).toBe(0);
    expect(run(asynchronous, 3, 1, never).whileOthersRan).toBeGreaterThan(5);
  });

  test.each([
    [0.5, 5],
    [0.6, 2],
    [0.9, 3],
  ])('failed trials change nothing of that: of %d, of %i candidates', (keep, candidates) => {
    const [one, other] = plans(keep, RATES.slice(0, candidates));
    for (let scores = 0; scores < 15; scores++) {
      const random = drawScores(scores + 100);
      const fails = (trial: Trial) => random(trial, 0) < 0.2;
      const standard = run(one, scores, 1, fails);
      for (let order = 0; order < 5; order++) {
        const { plan, through } = run(other, scores, order, fails);
        expect(pick(plan)).toEqual(pick(standard.plan));
        expect(through.toSorted()).toEqual(standard.through.toSorted());
      }
    }
  });

  test('chooses alike from the results of a sweep that was cut off', () => {
    const random = seededRandom(5);
    const progress = new Progress(drawScores(4));
    let plan = asynchronous;
    const through: string[] = [];
    for (;;) {
      const left = listWork(plan).filter(({ key }) => !through.includes(key));
      if (left.length === 0) break;
      const { trial, until, key } = left[Math.floor(random() * left.length)]!;
      progress.measure(plan, trial, until);
      through.push(key);
      plan = progress.decide(plan);
      expect(pick(progress.decide(asynchronous))).toEqual(pick(plan));
    }
    expect(isSearching(plan)).toBe(false);
  });

  test('trains a trial of two choices once as far as each', () => {
    const { search, ...rest } = asynchronous;
    const [dense, ...others] = search!.choices;
    const some = { ...dense!, candidates: dense!.candidates.slice(1) };
    const shared: Plan = { ...rest, search: { ...search!, choices: [dense!, some, ...others] } };
    for (let order = 0; order < 10; order++) {
      const keys = listWork(run(shared, 6, order, never).plan).map(({ key }) => key);
      expect(keys).toEqual([...new Set(keys)]);
    }
  });

  test('lets a candidate go on only when no other can pass it', () => {
    const progress = new Progress((trial) => 1 - RATES.indexOf(trial.train.learning_rate) / 10);
    const [dense] = asynchronous.search!.choices;
    const measured = (index: number) => {
      for (const id of dense!.candidates[index]!.trials)
        progress.measure(
          asynchronous,
          asynchronous.trials.find((each) => each.id === id)!,
          5,
        );
      return progress.decide(asynchronous);
    };
    // Three of five go on. The others may all be better, as far as is known.
    for (const index of [0, 3]) expect(measured(index)).toBe(asynchronous);
    const next = measured(4);
    expect(next.search!.choices[0]!.ahead).toEqual([0]);
    const added = next.cohorts.slice(asynchronous.cohorts.length);
    expect(added.map(({ trials, until_step: until }) => ({ trials, until }))).toEqual([
      { trials: dense!.candidates[0]!.trials, until: 10 },
    ]);
    expect(measured(1).search!.choices[0]!.ahead).toEqual([0, 1]);
  });
});
