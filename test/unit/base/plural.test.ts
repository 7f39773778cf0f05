import { inflect, plural } from '../../../orchestrator/base/plural';

test('one is singular, and any other number plural', () => {
  expect([0, 1, 2].map((count) => plural(count, 'trial'))).toEqual([
    '0 trials',
    '1 trial',
    '2 trials',
  ]);
});

test('a number that is written in another way has its noun inflected alike', () => {
  expect([0, 1, 2_000].map((count) => inflect(count, 'row'))).toEqual(['rows', 'row', 'rows']);
});
