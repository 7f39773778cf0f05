/** What a worker is started with. */
import { workerEnvironment } from '../../../orchestrator/runtime/services';

const config = {
  root: '/root',
  taskQueue: 'queue',
  temporal: { kind: 'external' as const, address: 'temporal:7233', namespace: 'default' },
  local: null,
  external: [{ address: 'gpu:7400' }],
};

test('its memory goes back to the system, unless the user has settings of their own', () => {
  const names = ['MALLOC_ARENA_MAX', 'MALLOC_MMAP_THRESHOLD_'] as const;
  const before = names.map((name) => process.env[name]);
  try {
    for (const name of names) delete process.env[name];
    expect(workerEnvironment(config)).toMatchObject({
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '131072',
    });
    process.env.MALLOC_ARENA_MAX = '8';
    expect(workerEnvironment(config)).toMatchObject({ MALLOC_ARENA_MAX: '8' });
  } finally {
    for (const [i, name] of names.entries()) {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    }
  }
});
