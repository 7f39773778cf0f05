import { plural } from '../../../orchestrator/base/plural';

test('one is singular, and any other number plural', () => {
  expect([0, 1, 2].map((count) => plural(count, 'trial'))).toEqual([
    '0 trials',
    '1 trial',
    '2 trials',
  ]);
});
