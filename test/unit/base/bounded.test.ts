import { setImmediate } from 'node:timers/promises';
import { mapBounded } from '../../../orchestrator/base/bounded';

test('keeps the order, and at most 32 in work', async () => {
  let [inWork, most] = [0, 0];
  const items = Array.from({ length: 100 }, (_, i) => i);
  const doubled = await mapBounded(items, async (i) => {
    most = Math.max(most, ++inWork);
    await setImmediate();
    inWork--;
    return 2 * i;
  });
  expect(doubled).toEqual(items.map((i) => 2 * i));
  expect(most).toBe(32);
});

test('begins nothing after an error, and throws it', async () => {
  let begun = 0;
  const work = async () => {
    begun++;
    await setImmediate();
    throw new Error('no');
  };
  await expect(mapBounded(Array(100).fill(0), work)).rejects.toThrow('no');
  expect(begun).toBe(32);
});
