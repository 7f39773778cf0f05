import { dataWarnings, heldOutWarnings } from '../../../orchestrator/sweep/data-warnings';
import type { PlannedDataset, PlannedSplit } from '../../../orchestrator/sweep/types';
import { summarize } from '../../../orchestrator/report/summary';
import { planWarnings } from '../../../orchestrator/sweep/warnings';
import { dataset } from '../support/plans';
import { searchPlan } from '../support/search-plan';

/** MRPC's data set with other classes, and what their rows are. */
function own(
  label_names: string[],
  train: Partial<PlannedSplit>,
  validation: Partial<PlannedSplit>,
  changes: Partial<PlannedDataset> = {},
): PlannedDataset {
  const base = dataset('mrpc');
  const splits = [train, validation].map((split, i) => ({
    ...base.splits[i]!,
    digest: String(i),
    ...split,
  }));
  return { ...base, task: 'own', label_names, splits, ...changes };
}

const rows = (...class_rows: number[]) => ({ class_rows });

describe('data is warned of', () => {
  test('if class names look alike, each with its rows', () => {
    expect(dataWarnings(own(['Yes', 'no', 'yes'], rows(20, 30, 40), rows(10, 10, 10)))).toEqual([
      'own: "Yes" (20 train rows) and "yes" (40 train rows) are separate classes, but differ ' +
        'only in case, spaces, hyphens, accents or Unicode form',
    ]);
    expect(dataWarnings(own(['1', '1.0', '2'], rows(20, 30, 40), rows(10, 10, 10)))).toEqual([
      'own: "1" (20 train rows) and "1.0" (30 train rows) are separate classes, but look like ' +
        'the same value written in different ways',
    ]);
  });

  test('in words that show what cannot be seen', () => {
    const names = ['café', 'cafe\u0301', 'o\u200bk', 'a\u00a0b'];
    const [, missing] = dataWarnings(own(names, rows(20, 20, 20, 20), rows(0, 0, 0, 0)));
    expect(missing).toContain('"café" (20 train rows), "cafe\\u{301}"');
    expect(missing).toContain('"o\\u{200b}k" (20 train rows) and "a\\u{a0}b"');
  });

  test('if a class looks like a missing value', () => {
    expect(dataWarnings(own(['nan', 'no'], rows(12, 30), rows(10, 10)))).toEqual([
      'own: "nan" (12 train rows) looks like a missing value, but is trained as a class',
    ]);
  });

  test('if validation lacks a class, with what that does to macro F1', () => {
    const lacking = own(['a', 'b', 'c'], rows(20, 30, 40), rows(10, 0, 10));
    expect(dataWarnings(lacking)).toEqual([
      'own: validation has no row of class "b" (30 train rows), so nothing measures it',
    ]);
    expect(dataWarnings({ ...lacking, metrics: ['accuracy', 'macro_f1'] })).toEqual([
      'own: validation has no row of class "b" (30 train rows), so nothing measures it; one ' +
        'prediction of such a class counts as a class with F1 0 and makes macro_f1 2/3 of what ' +
        'it was',
    ]);
  });

  test('if no training row in use has a class of validation', () => {
    expect(dataWarnings(own(['a', 'b', 'c'], rows(20, 0, 40), rows(10, 11, 10)))).toEqual([
      'own: train has no row in use of class "b" (11 validation rows), so it is not learned',
    ]);
  });

  test('if a class has fewer than ten rows of a split', () => {
    expect(dataWarnings(own(['a', 'b', 'c'], rows(9, 10, 40), rows(10, 11, 1)))).toEqual([
      'own: fewer than 10 train rows of class "a" (9): too few to be learned',
      'own: fewer than 10 validation rows of class "c" (1): one prediction moves the recall of ' +
        'such a class by more than 10 points',
    ]);
  });

  test('in a few sentences, however many classes there are', () => {
    const names = Array.from({ length: 150 }, (_, i) => `class ${i}`);
    const warnings = dataWarnings(
      own(names, rows(...names.map(() => 3)), rows(...names.map(() => 0))),
    );
    expect(warnings).toHaveLength(2);
    expect(warnings[1]).toBe(
      'own: fewer than 10 train rows of class "class 0" (3), "class 1" (3), "class 2" (3), ' +
        '"class 3" (3), "class 4" (3) and 145 more: too few to be learned',
    );
  });

  test('if a hundredth of the validation rows is in training, too', () => {
    const overlap = (also_in_train: number, of: number) =>
      dataWarnings(own([], {}, { rows: of, also_in_train }));
    expect(overlap(0, 10)).toEqual([]);
    expect(overlap(6, 1500)).toEqual([]);
    expect(overlap(16, 1043)).toEqual([
      'own: 16 of 1,043 validation rows (1.5 %) are also in train, which makes metrics better ' +
        'than on new rows',
    ]);
  });

  test('if a file is both, in place of a count', () => {
    const same = { digest: 'same', also_in_train: 100 };
    const warn = (file: string) =>
      dataWarnings(own([], { ...same, file: '/a' }, { ...same, file }));
    expect(warn('/a')).toEqual([
      'own: train and validation are the same file, so metrics say how well training rows are ' +
        'remembered',
    ]);
    expect(warn('/b')).toEqual([
      'own: the files of train and validation have the same content, so metrics say how well ' +
        'training rows are remembered',
    ]);
  });

  test('if all numbers of a split are the same', () => {
    expect(dataWarnings(own([], { label_range: [0, 5] }, { label_range: [3, 3] }))).toEqual([
      'own: every validation label is 3, so nothing correlates with it',
    ]);
  });
});

describe('data is not warned of', () => {
  test('if it is generated, because its numbers mean nothing', () => {
    const bad = own(['a', 'A'], rows(1, 0), { ...rows(0, 1), also_in_train: 1 });
    expect(dataWarnings({ ...bad, source: 'demo' })).toEqual([]);
  });

  test('in plans of earlier versions, except by the names of classes', () => {
    expect(dataWarnings(own(['a', 'A'], {}, {}))).toEqual([
      'own: "a" and "A" are separate classes, but differ only in case, spaces, hyphens, accents ' +
        'or Unicode form',
    ]);
  });
});

describe('rows that a search holds out are warned of', () => {
  const held = { held_out: { fraction: 0.1 } };

  test('if they lack a class, have all of it, or a handful', () => {
    expect(
      heldOutWarnings(own(['a', 'b', 'c', 'd'], rows(90, 20, 0, 90), rows(10, 0, 12, 3), held)),
    ).toEqual([
      'own: no row of class "b" (20 left in train) is held out, so the search chooses without ' +
        'regard to it',
      'own: every row of class "c" (12 held out) is held out, so the search’s trials never learn ' +
        'it',
      'own: fewer than 10 held-out rows of class "d" (3): one prediction moves the recall of ' +
        'such a class by more than 10 points in the search',
    ]);
  });

  test('but not without classes, nor if all are there', () => {
    expect(heldOutWarnings(own(['a', 'b'], rows(90, 90), rows(10, 10), held))).toEqual([]);
    expect(heldOutWarnings(own([], {}, {}, held))).toEqual([]);
  });

  test('in plan, start and report alike', () => {
    const plan = searchPlan();
    const datasets = plan.datasets.map((each) =>
      each.held_out === undefined
        ? each
        : { ...each, splits: own(each.label_names, rows(9, 9), rows(9, 0)).splits },
    );
    const warning = expect.stringContaining(
      'no row of class "equivalent" (9 left in train)',
    ) as string;
    expect(planWarnings({ ...plan, datasets })).toContainEqual(warning);
    expect(summarize({ ...plan, datasets }, [], {}).tasks[0]!.data_warnings).toContainEqual(
      warning,
    );
  });
});
