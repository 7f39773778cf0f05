import { searchPlan } from '../support/search-plan';
import { listDifferences } from '../../../orchestrator/sweep/differences';
import type { PlannedDataset } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from '../support/plans';
import { COMPARE, buildPlan } from '../support/results';

const before = buildPlan();
const from = (settings: Record<string, unknown>, change?: Partial<PlannedDataset>) =>
  listDifferences(before, buildPlan(settings, change));

describe('two plans differ in', () => {
  test('nothing if they are the same', () => {
    expect(from({})).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['training', { train: { steps: 90 } }, ['train.steps 52 → 90']],
    [
      'several keys of it',
      { train: { learning_rate: 2e-3, epochs: 1 } },
      ['train.learning_rate 0.0005 → 0.002', 'train.steps 52 → 13'],
    ],
    ['seeds', { seeds: '1-4' }, ['seeds 1, 2, 3 → 1, 2, 3, 4']],
    ['precision', { precision: 'bf16' }, ['precision float32 → bf16']],
    [
      'what is compared',
      { compare: [...COMPARE, { pruner: 'rand', sparsity: 0.4 }] },
      ['compare.pruner none, snip → none, snip, rand'],
    ],
    [
      'sparsity',
      { compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: [0.4, 0.9] }] },
      ['compare.sparsity 0, 0.4, 0.8 → 0, 0.4, 0.9'],
    ],
    [
      'other keys of pruning, if pruners and sparsities are the same',
      { compare: [COMPARE[0], { ...COMPARE[1], scope: 'local' }] },
      ['compare.scope global → global, local'],
    ],
    [
      'the adapter',
      { adapter: { bottleneck: 32, norm: 'none' } },
      ['adapter houlsby-64 → houlsby-32'],
    ],
    ['its settings', { adapter: { norm: 'none' } }, ['adapter.norm before → none']],
    [
      'tasks, not in what follows from those',
      { tasks: ['mrpc', 'rte'] },
      ['tasks mrpc → mrpc, rte'],
    ],
    ['all tasks', { tasks: 'rte' }, ['tasks mrpc → rte']],
  ])('%s', (_, settings, differences) => {
    expect(from(settings)).toEqual(differences);
  });

  test('the content of files, with the number of rows', () => {
    const { splits } = dataset('mrpc');
    const [train, validation] = [splits[0]!, splits[1]!];
    const changed = { ...train, digest: 'other', of: 402, rows: 402 };
    expect(from({}, { digest: 'new', splits: [changed, validation] })).toEqual([
      'data of mrpc changed (train 400 → 402 rows)',
    ]);
    const edited = { ...validation, digest: 'other' };
    expect(from({}, { digest: 'new', splits: [changed, edited] })).toEqual([
      'data of mrpc changed (train 400 → 402 rows, validation)',
    ]);
  });

  test('how many rows are used, and how they are read', () => {
    const { splits } = dataset('mrpc', { train: 200, of: 400 });
    expect(from({ train: { steps: 52 } }, { digest: 'new', splits, max_length: 64 })).toEqual([
      'train rows of mrpc 400 → 200',
      'max_length of mrpc 128 → 64',
    ]);
    expect(from({}, { digest: 'new', metrics: ['f1'] })).toEqual([
      'metrics of mrpc ["accuracy","f1"] → ["f1"]',
    ]);
    expect(from({}, { digest: 'new' })).toEqual(['how mrpc is read changed']);
    expect(from({}, { digest: 'new', source: 'demo' })).toEqual(['data of mrpc files → demo']);
  });

  test('the backbone and the profile', () => {
    const plan = buildPlan();
    const other = { ...backbone(), digest: 'other' };
    expect(listDifferences(plan, { ...plan, profile: 'quick', backbone: other })).toEqual([
      'profile none → quick',
      'files of backbone all-MiniLM-L6-v2 changed',
    ]);
    expect(listDifferences(plan, { ...plan, backbone: { ...other, name: 'bert' } })).toEqual([
      'backbone all-MiniLM-L6-v2 → bert',
    ]);
  });
});

test('of a search are what it is over, its rows, and the seeds of both', () => {
  const before = searchPlan();
  const after = searchPlan([1, 2, 3, 4]);
  expect(listDifferences(before, after)).toEqual([
    'seeds 101, 102, 1, 2, 3 → 101, 102, 1, 2, 3, 4',
  ]);
  const half = before.datasets.map((dataset) =>
    dataset.held_out ? { ...dataset, held_out: { fraction: 0.5 } } : dataset,
  );
  const search = { ...before.search!, over: ['learning_rate', 'dropout'] };
  expect(listDifferences(before, { ...before, datasets: half, search })).toEqual([
    'search.over learning_rate → learning_rate, dropout',
    'held out 0.1 → 0.5',
  ]);
});
