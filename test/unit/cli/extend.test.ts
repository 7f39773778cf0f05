/** What `sa-orch extend` finds to add to a sweep, and what it refuses. */
import { findNew } from '../../../orchestrator/cli/extend';
import type { Asked, Extension } from '../../../orchestrator/sweep/types';
import { tinyPlan } from '../support/tiny-plan';

const SEARCH = { over: ['learning_rate'], stop_early: { rungs: [0.5], keep: 0.5 } };

/** What is new of lifted rungs in a sweep with this search, and with what was added before. */
function liftRungs(search: unknown, extended: Extension[] = []): Extension | null {
  const train = search === undefined ? {} : { learning_rate: [1e-4, 1e-3] };
  const settings = { tasks: ['mrpc'], train, search };
  const asked: Asked = { format: 1, name: 'tiny', file: null, profile: null, settings };
  return findNew({ rungs: 'off' }, asked, { ...tinyPlan(), extended }, () => undefined);
}

test('rungs are lifted once', () => {
  expect(liftRungs(SEARCH)).toEqual({ rungs: 'off' });
  expect(liftRungs(SEARCH, [{ rungs: 'off' }])).toBeNull();
});

test('rungs that a sweep never had are refused', () => {
  expect(() => liftRungs(undefined)).toThrow('--rungs off: tiny-00000000 has no search; must be');
  expect(() => liftRungs({ over: ['learning_rate'] })).toThrow(
    'has a search that stops nothing early; must be left out, or given for a sweep with',
  );
});
