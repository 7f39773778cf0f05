/** What a trainer's line says. */
import { describeTrainer } from '../../../orchestrator/cli/trainer-lines';
import type { TrainerStatus } from '../../../orchestrator/runtime/trainer-status';

const trainer = (more: Partial<TrainerStatus> = {}): TrainerStatus => ({
  ...{ name: 'gpu:7400', address: 'gpu:7400', state: 'ready', device: 'H100', framework: 'torch' },
  ...{ threads: null, gpu: null, pid: null, since: null, restarts: 0, last_exit: null },
  ...{ memory: 80e9, memory_used: null, sent: 0, received: 0, ...more },
});

test('a GPU’s memory is told with how much is in use, or not at all', () => {
  expect(describeTrainer(trainer({ memory_used: 41.23e9 }), undefined)).toBe(
    'gpu:7400     ready        H100, 41.2 GB of 80.0 GB in use',
  );
  expect(describeTrainer(trainer(), undefined)).toBe('gpu:7400     ready        H100');
});

test('one that is away does nothing, and what waits for it is told', () => {
  const [sweep_id, cohort, rows_per_s] = ['s-1', 'c01-tickets', 135];
  const work = [{ sweep_id, cohort, work: 'train', trials: 4, rows_per_s, seconds: 31 }];
  const part = { state: 'ready' as const, why: null, work };
  expect(describeTrainer(trainer(), part)).toContain('  train 4 trials of c01-tickets, 135 rows/s');
  const away = describeTrainer(trainer({ state: 'away', device: null }), part);
  expect(away).toBe('gpu:7400     away\n  nothing: 4 trials of c01-tickets wait for it');
});
