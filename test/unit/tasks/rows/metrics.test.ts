/** Expected values are scikit-learn 1.x's and SciPy's on the same lists. */
import { FAMILIES } from '../../../../orchestrator/tasks/registry';
import { rows } from '../../../../orchestrator/tasks/rows/family';
import {
  accuracy,
  f1,
  macroF1,
  matthews,
} from '../../../../orchestrator/tasks/rows/classification';
import { pearson, ranks, spearman } from '../../../../orchestrator/tasks/rows/correlation';
import { argmaxRows, evaluateSplit } from '../../../../orchestrator/tasks/rows/metrics';
import { METRIC_TITLES } from '../../../../orchestrator/report/format';

const digits = (text: string) => [...text].map(Number);
const LABELS = digits('1000011100001000110000110011011110011110');
const PREDICTED = digits('1100111001001100101010100101111110111110');
const LABELS_3 = digits('20020201221002102221');
const PREDICTED_3 = digits('02110201221001202211');
const SCORES = [2.5, 2.5, 4, 2, 0, 2.5, 1, 3.5, 2, 2, 4.5, 2, 1.5, 1.5, 2.5];
const GUESSES = [0.5, 2.2, 3.4, -2.3, -2.3, 3.7, 2.1, 2.2, 1, 1.2, 4.5, 2.6, 3.5, 1.3, 3.3];

describe('metrics equal the reference implementations', () => {
  test.each([
    ['accuracy', accuracy(PREDICTED, LABELS), 0.675],
    ['accuracy of three classes', accuracy(PREDICTED_3, LABELS_3), 0.65],
    ['F1 of class 1', f1(PREDICTED, LABELS), 0.6976744186046512],
    ['Matthews', matthews(PREDICTED, LABELS), 0.3678836036909795],
    ['macro F1 of two classes', macroF1(PREDICTED, LABELS), (0.6976744186046512 + 24 / 37) / 2],
    ['Pearson', pearson(GUESSES, SCORES), 0.6024271849994116],
    ['Spearman, with ties', spearman(GUESSES, SCORES), 0.5178534310075366],
  ])('%s', (_name, value, expected) => {
    expect(value).toBeCloseTo(expected, 12);
  });

  // By hand. Right: 1, 1 and 2; predicted: 1, 3 and 2; true: 2, 1 and 3. F1: 2/3, 2/4 and 4/5.
  test('macro F1 of three classes is the mean of theirs', () => {
    expect(macroF1([0, 1, 1, 2, 1, 2], [0, 0, 1, 2, 2, 2])).toBeCloseTo(
      (2 / 3 + 1 / 2 + 4 / 5) / 3,
      12,
    );
  });

  test('macro F1 counts a class that is only predicted, but not one that is nowhere', () => {
    expect(macroF1([0, 3], [0, 0])).toBeCloseTo((2 / 3 + 0) / 2, 12);
    expect(macroF1([0, NaN], [0, 0])).toBeCloseTo(2 / 3, 12);
  });

  // By hand, the rows above: c = 4 of s = 6; Σ p t = 1·2 + 3·1 + 2·3 = 11; Σ p² = 14; Σ t² = 14.
  test('Matthews of three classes is R_K', () => {
    expect(matthews([0, 1, 1, 2, 1, 2], [0, 0, 1, 2, 2, 2])).toBeCloseTo(
      (4 * 6 - 11) / (36 - 14),
      12,
    );
    expect(matthews(LABELS_3, LABELS_3)).toBeCloseTo(1, 12);
  });

  test('equal values share the mean of their ranks', () => {
    expect(ranks([10, 30, 20, 20, 20])).toEqual([1, 5, 3, 3, 3]);
  });

  test('Pearson keeps its digits where the mean is large', () => {
    const far = SCORES.map((score) => score + 1e9);
    expect(pearson(GUESSES, far)).toBeCloseTo(0.6024271849994116, 6);
  });

  test('Matthews of many rows does not overflow', () => {
    const many = Array.from({ length: 400_000 }, (_, i) => i % 2);
    expect(matthews(many, many)).toBeCloseTo(1, 12);
    expect(
      matthews(
        many.map((x) => 1 - x),
        many,
      ),
    ).toBeCloseTo(-1, 12);
  });
});

describe('a metric that is not defined', () => {
  test.each([
    ['Matthews where one class only is predicted', matthews([1, 1, 1], [1, 0, 1])],
    ['Matthews where one of three classes only is predicted', matthews([2, 2, 2], [1, 0, 2])],
    ['macro F1 of no rows', macroF1([], [])],
    ['F1 where nothing is 1', f1([0, 0], [0, 0])],
    ['Pearson where predictions do not vary', pearson([0.1, 0.1, 0.1], [1, 2, 3])],
    ['Spearman where labels do not vary', spearman([1, 2, 3], [0.7, 0.7, 0.7])],
  ])('%s is null', (_what, value) => {
    expect(value).toBeNull();
  });

  test('counts as 0 in an evaluation, and that is said', () => {
    expect(evaluateSplit(['matthews'], { suffix: '', predicted: [1, 1], labels: [1, 0] })).toEqual({
      metrics: { matthews: 0 },
      warnings: ['undefined_metric: matthews is undefined on these predictions and counts as 0'],
    });
  });
});

describe('evaluateSplit', () => {
  test.each(Object.values(rows.kinds).flatMap(({ metrics }) => metrics))(
    'knows %s, which a task of its own may ask for',
    (name) => {
      expect(
        evaluateSplit([name], { suffix: '', predicted: [1, 0, 1], labels: [1, 0, 1] }).metrics[
          name
        ],
      ).toBeCloseTo(1, 12);
    },
  );

  test.each(
    FAMILIES.flatMap(({ kinds }) => Object.values(kinds)).flatMap(({ metrics }) => metrics),
  )('reports have a title for %s', (name) => {
    expect(METRIC_TITLES).toHaveProperty(name);
  });

  test('gives the metrics of its split, in the order asked', () => {
    const matched = { suffix: '', predicted: [0, 1, 2], labels: [0, 1, 1] };
    expect(evaluateSplit(['accuracy', 'accuracy_mismatched'], matched).metrics).toEqual({
      accuracy: 2 / 3,
    });
    const mismatched = { suffix: '_mismatched', predicted: [0, 1, 2], labels: [1, 1, 1] };
    expect(evaluateSplit(['accuracy', 'accuracy_mismatched'], mismatched).metrics).toEqual({
      accuracy_mismatched: 1 / 3,
    });
    expect(Object.keys(evaluateSplit(['accuracy', 'f1'], matched).metrics)).toEqual([
      'accuracy',
      'f1',
    ]);
  });

  test('counts a prediction that is NaN or infinite as wrong, whatever its label', () => {
    const { metrics, warnings } = evaluateSplit(['accuracy', 'f1', 'matthews'], {
      suffix: '',
      predicted: [NaN, NaN, 1, 0],
      labels: [1, 0, 1, 0],
    });
    expect(metrics).toEqual({ accuracy: 0.5, f1: 0.5, matthews: 0 });
    expect(warnings).toContain(
      'non_finite_predictions: 2 of 4 rows have a prediction that is NaN or infinite',
    );
  });

  test('makes a correlation with numbers that are none 0', () => {
    const { metrics, warnings } = evaluateSplit(['pearson'], {
      suffix: '',
      predicted: [NaN, 1, 2],
      labels: [1, 2, 3],
    });
    expect(metrics).toEqual({ pearson: 0 });
    expect(warnings).toHaveLength(2);
  });
});

describe('argmaxRows', () => {
  test('takes the highest logit of each row, the first of equal ones', () => {
    expect(argmaxRows(Float32Array.from([1, 2, 3, 3, 1, 1]), 2)).toEqual([1, 0, 0]);
  });

  test('gives no class for a row with a logit that is no number', () => {
    expect(argmaxRows(Float32Array.from([NaN, 2, 1, Infinity, 0, 1]), 2)).toEqual([NaN, NaN, 1]);
  });
});
