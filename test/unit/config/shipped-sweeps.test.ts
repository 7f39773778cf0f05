/** The sweeps in configs/sweeps are valid with all their profiles. */
import { DEFAULT_TRAIN } from '../../../orchestrator/config/defaults';
import { loadSweepConfig } from '../../../orchestrator/config/load';
import { HOULSBY } from '../support/sweep-file';
import { trainOf } from '../support/plans';

describe('the sweep glue', () => {
  test.each([null, 'quick', 'full', 'paper'])('is a valid sweep with profile %s', (profile) => {
    expect(loadSweepConfig('glue', { profile }).name).toBe('glue');
  });

  test('states the defaults where it states a setting', () => {
    const config = loadSweepConfig('glue');
    expect(trainOf(config.tasks[0])).toEqual(DEFAULT_TRAIN);
    expect(config.compare[0]!.adapters).toEqual([HOULSBY]);
  });
});

describe.each(['xsum', 'cnn_dailymail'])('the sweep %s', (name) => {
  test.each([null, 'quick', 'full', 'paper'])(
    'is a valid sweep of its task on a BART with profile %s',
    (profile) => {
      const config = loadSweepConfig(name, { profile });
      expect(config.tasks.map((task) => task.name)).toEqual([name]);
      expect(config.backbone).toMatch(/^facebook\/bart-/);
    },
  );
});

describe('the sweep masks', () => {
  test.each([null, 'quick', 'full'])(
    'with profile %s removes three quarters in every line but the dense one, which is first',
    (profile) => {
      const [dense, ...lines] = loadSweepConfig('masks', { profile }).compare;
      expect(dense).toMatchObject({ pruner: ['none'], adapters: [HOULSBY] });
      const removed = lines.flatMap(({ sparsity, n_m }) => [
        ...sparsity,
        ...n_m.map((each) => 1 - each.group_kept / each.group_size),
      ]);
      expect(removed).toEqual(lines.map(() => 0.75));
    },
  );
});

describe('the sweep large-sparse', () => {
  test.each([null, 'quick', 'cpu', 'full'])(
    'is a valid sweep with profile %s, and has its dense reference first',
    (profile) => {
      const { compare } = loadSweepConfig('large-sparse', { profile });
      expect(compare[0]).toMatchObject({ pruner: ['none'], adapters: [HOULSBY] });
      expect(compare.at(-1)!.large_sparse).toBe(true);
    },
  );
});
