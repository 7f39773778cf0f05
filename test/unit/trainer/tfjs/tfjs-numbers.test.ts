/**
 * What the TensorFlow.js engine computes without TensorFlow: draws, densities, rankings, official
 * rules, SynFlow, losses, AdamW.
 */
import {
  AdapterNorm,
  MaskRules,
  Optimizer,
  Pruner,
  PruneScope,
  TaskKind,
} from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { randomFor } from '../../../../trainer/host/random';
import { densities, erCounts } from '../../../../trainer/tfjs/densities';
import { normals, uniforms } from '../../../../trainer/tfjs/draws';
import { ScoringStore } from '../../../../trainer/tfjs/scoring-store';
import { buildLayout } from '../../../../trainer/tfjs/layout';
import { computeLoss } from '../../../../trainer/tfjs/losses';
import { OfficialRules } from '../../../../trainer/tfjs/official-rules';
import { AdamW, clipFactor } from '../../../../trainer/tfjs/optimizer';
import { highest, Ranking } from '../../../../trainer/tfjs/ranking';
import { gradient } from '../../../../trainer/tfjs/pruners/gradient';
import { synflowScores } from '../../../../trainer/tfjs/pruners/synflow';
import { flowAlone } from '../../../../trainer/tfjs/pruners/synflow-alone';
import { trial } from '../../../support/jobs';

const sum = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((total, value) => total + value, 0);

test('uniform and normal draws have their mean and deviation, and repeat for one key only', () => {
  const draw = (name: string) => normals(10_003, 0.02, randomFor(1, 'init', name));
  const values = draw('a');
  expect(draw('a')).toEqual(values);
  expect(draw('b')).not.toEqual(values);
  expect(Math.abs(sum(values) / values.length)).toBeLessThan(1e-3);
  expect(Math.sqrt(sum(values.map((value) => value * value)) / values.length)).toBeCloseTo(0.02, 3);
  const flat = uniforms(10_000, -1, 3, randomFor(1, 'u'));
  expect(Math.min(...flat)).toBeGreaterThanOrEqual(-1);
  expect(Math.max(...flat)).toBeLessThan(3);
  expect(sum(flat) / flat.length).toBeCloseTo(1, 1);
});

test('exactly so many of the highest are chosen, the first of equal ones', () => {
  expect([...highest(Float64Array.of(1, 3, 2, 3, 3, 0), 2)]).toEqual([0, 1, 0, 1, 0, 0]);
  expect([...highest(Float64Array.of(5, 5, 5, 5), 3)]).toEqual([1, 1, 1, 0]);
  expect([...highest(Float64Array.of(1, 2), 0)]).toEqual([0, 0]);
  expect([...highest(Float64Array.of(1, 2), 2)]).toEqual([1, 1]);
});

test('a global mask keeps the floor(density · n + 0.5) highest weights of all matrices', () => {
  const prune = { ...trial('t').prune!, pruner: Pruner.PRUNER_MAG, sparsity: 0.3 };
  const ranking = new Ranking(prune, 1, { a: [2, 2], b: [1, 3] });
  ranking.keep({ a: Float32Array.of(9, 1, 8, 2), b: Float32Array.of(7, 3, 6) });
  expect(ranking.finished()).toEqual({ a: Uint8Array.of(1, 0, 1, 0), b: Uint8Array.of(1, 1, 1) });
});

test('equal scores rank nothing, and the failure says what helps', () => {
  const prune = { ...trial('t').prune!, pruner: Pruner.PRUNER_SNIP };
  const keep = () => new Ranking(prune, 1, { a: [2, 2] }).keep({ a: new Float32Array(4) });
  expect(keep).toThrow(
    'snip: all 4 scores of all matrices are 0, so they rank nothing; a zero up-projection ' +
      '(init: zero_up)',
  );
  const nan = () => new Ranking(prune, 1, { a: [2, 2] }).keep({ a: Float32Array.of(1, NaN, 2, 3) });
  expect(nan).toThrow('snip: 1 of 4 scores of all matrices are NaN or infinite');
});

test('a sparsity that would keep nothing of a matrix is refused', () => {
  const prune = {
    ...trial('t').prune!,
    pruner: Pruner.PRUNER_MAG,
    scope: PruneScope.PRUNE_SCOPE_LOCAL,
    sparsity: 0.95,
  };
  expect(() => new Ranking(prune, 1, { a: [2, 2] })).toThrow(
    'sparsity 0.95 keeps none of the 4 weights of a',
  );
});

test('Erdős–Rényi counts are in all what is kept, and no matrix keeps more than it has', () => {
  const counts = erCounts({ a: [2, 3], b: [40, 50], c: [10, 10] }, 700);
  expect(sum(Object.values(counts))).toBe(700);
  expect(counts.a).toBe(6);
  expect(counts.b! / (40 * 50)).toBeLessThan(counts.c! / 100);
});

test('the density falls to its end in the rounds of a schedule', () => {
  const rounds = densities({ ...trial('t').prune!, sparsity: 0.75, rounds: 2 });
  expect(rounds).toEqual([0.5, 0.25]);
});

test('SynFlow conserves the flow: both matrices of a module have the same sum of scores', () => {
  const { adapter } = trial('t');
  const sizes = { hidden: 6, inner: 12, layers: { length: 1 }, ownShapes: {} };
  const { prunableShapes } = buildLayout(adapter!, sizes, 2, TaskKind.TASK_KIND_CLASSIFICATION);
  const weights = Object.fromEntries(
    Object.entries(prunableShapes).map(([name, [out, inputs]]) => [
      name,
      uniforms(out! * inputs!, -1, 1, randomFor(1, name)),
    ]),
  );
  const scores = synflowScores(adapter!, 1, 6, prunableShapes, weights);
  for (const site of ['attention', 'ffn']) {
    expect(sum(scores[`layers.0.${site}.down.weight`]!)).toBeCloseTo(
      sum(scores[`layers.0.${site}.up.weight`]!),
      9,
    );
  }
});

test.each([
  [TaskKind.TASK_KIND_CLASSIFICATION, [[2, 0]], [4, 5], 3],
  [TaskKind.TASK_KIND_REGRESSION, [[0.5, -1]], [4, 5], 1],
  [
    TaskKind.TASK_KIND_QUESTION_ANSWERING,
    [
      [1, 0],
      [2, 1],
    ],
    [3, 2],
    2,
  ],
])(
  'the slopes of task kind %i’s loss are its differences',
  (taskKind, labels, lengths, outputs) => {
    const rows = taskKind === TaskKind.TASK_KIND_QUESTION_ANSWERING ? sum(lengths) : lengths.length;
    const logits = uniforms(rows * outputs, -2, 2, randomFor(1, 'logits'));
    const { slopes } = computeLoss(taskKind, logits, labels, lengths, 0.1);
    const step = 2 ** -9;
    slopes.forEach((slope, i) => {
      const [up, down] = [1, -1].map(
        (sign) =>
          computeLoss(taskKind, logits.with(i, logits[i]! + sign * step), labels, lengths, 0.1)
            .mean,
      );
      expect((up! - down!) / (2 * step)).toBeCloseTo(slope, 4);
    });
  },
);

test('AdamW’s first step is the learning rate against the gradient’s sign, after decay', () => {
  const parameters = Float32Array.of(1, 1, 1);
  const optimizer = new AdamW(new Float32Array(3), new Float32Array(3), 1, 2);
  const settings = { ...trial('t').train!, weightDecay: 0.5, adamEpsilon: 1e-12 };
  optimizer.update(parameters, Float32Array.of(3, -3, 0), 1, settings, 1, 0.1);
  expect(parameters[0]).toBeCloseTo(1 * (1 - 0.1 * 0.5) - 0.1, 6);
  expect(parameters[1]).toBeCloseTo(1 + 0.1, 6);
  // What stays as it was drawn.
  expect(parameters[2]).toBe(1);
  expect(clipFactor(4, 1)).toBe(0.25);
  expect(clipFactor(4, 0)).toBe(1);
});

test('the published code’s AdamW decays after the update, and ε joins the uncorrected root', () => {
  const parameters = Float32Array.of(1);
  const optimizer = new AdamW(new Float32Array(1), new Float32Array(1), 1, 1);
  const settings = {
    ...{ ...trial('t').train!, weightDecay: 0.5, adamEpsilon: 1, adamBeta1: 0, adamBeta2: 0.75 },
    optimizer: Optimizer.OPTIMIZER_ADAMW_DECAY_AFTER,
  };
  optimizer.update(parameters, Float32Array.of(3), 1, settings, 1, 0.1);
  // The root of (1 − β₂) · 3² is 1.5, and √(1 − β₂) is 0.5.
  expect(parameters[0]).toBeCloseTo((1 - (0.1 * 0.5 * 3) / (1.5 + 1)) * (1 - 0.1 * 0.5), 6);
});

test('by official rules equal scores go together, and NaN cuts nothing', () => {
  const prune = {
    ...{ ...trial('t').prune!, pruner: Pruner.PRUNER_MAG },
    rules: MaskRules.MASK_RULES_OFFICIAL,
  };
  const shapes = { 'm.down.weight': [2, 3], 'm.up.weight': [3, 2] };
  const keep = (up: Float32Array) => {
    const rules = new OfficialRules(prune, shapes, [0.75]);
    rules.keep({ 'm.down.weight': Float32Array.of(1, 2, 3, 4, 5, 6), 'm.up.weight': up });
    return rules;
  };
  const equal = keep(new Float32Array(6));
  expect(equal.finished()).toEqual({
    'm.down.weight': new Uint8Array(6).fill(1),
    'm.up.weight': new Uint8Array(6),
  });
  expect(equal.doubts).toEqual([]);
  const odd = keep(new Float32Array(6).fill(NaN));
  expect(odd.finished()['m.up.weight']).toEqual(new Uint8Array(6).fill(1));
  expect(odd.finished()['m.down.weight']).toEqual(Uint8Array.of(0, 0, 0, 1, 1, 1));
  expect(odd.doubts).toEqual([expect.stringContaining('mag, round 1 of 1: 6 of 12 scores')]);
});

test('SynFlow by official rules: what a module alone lets through, with a residual', () => {
  const adapter = { ...trial('t').adapter!, norm: AdapterNorm.ADAPTER_NORM_NONE, scale: 2 };
  const at = 'layers.0.ffn';
  const shapes = { [`${at}.down.weight`]: [1, 2], [`${at}.up.weight`]: [2, 1] };
  const weights = {
    [`${at}.down.weight`]: Float32Array.of(-1, 3),
    [`${at}.up.weight`]: Float32Array.of(0.5, -0.25),
  };
  const others = {
    [`${at}.down.bias`]: Float32Array.of(1),
    [`${at}.up.bias`]: Float32Array.of(0, 0),
  };
  const { scores, gradients } = flowAlone(adapter, shapes, weights, others);
  // The mean of 2 · |up| · (|down| · 1 + |b|): inner is 5, and up sums to 0.75.
  expect([...scores[`${at}.down.weight`]!]).toEqual([0.75, 2.25]);
  expect([...scores[`${at}.up.weight`]!]).toEqual([2.5, 1.25]);
  expect([...gradients[`${at}.down.bias`]!]).toEqual([0.75]);
});

test('gradient scores each weight by the size of its gradient', async () => {
  const round = { gradient: () => Promise.resolve({ a: Float32Array.of(-2, 0.5, 0) }) };
  const scores = await gradient.score(round as unknown as Parameters<typeof gradient.score>[0]);
  expect(scores).toEqual({ a: Float32Array.of(2, 0.5, 0) });
});

test('of gradients kept for later jobs, the least recently used go first', () => {
  const store = new ScoringStore(24);
  const put = (key: string, values: number) => store.put(key, { w: new Float32Array(values) });
  put('a', 3);
  put('b', 3);
  expect(store.find('a')).toBeDefined();
  put('c', 2);
  expect(['a', 'b', 'c'].filter((key) => store.find(key))).toEqual(['a', 'c']);
  put('too large', 7);
  expect(['a', 'c', 'too large'].filter((key) => store.find(key))).toEqual(['a', 'c']);
  store.clear();
  expect(store.find('a')).toBeUndefined();
});
