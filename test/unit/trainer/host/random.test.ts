/** Draws that follow from a trial's seed and a purpose alone. */
import { key, permutation, Random } from '../../../../trainer/host/random';

describe('random streams', () => {
  test('are MT19937’s: by the C++ standard, number 10,000 of seed 5489 is 4123659995', () => {
    const random = new Random(5489n);
    const numbers = Array.from({ length: 10_000 }, () => random.uint32());
    expect(numbers.at(-1)).toBe(4123659995);
  });

  test('have a key of the first 63 bits of SHA-256 over seed and purpose', () => {
    // sha256("1/order/0") begins with these 8 bytes, as sha256sum tells.
    expect(key(1, 'order', 0)).toBe(433034383059858670n);
  });

  test('permute as PyTorch does from the same key', () => {
    // torch.randperm(10, generator=keys.generator(1, "order", 0)) of the torch trainer.
    expect([...permutation(10, 1, 'order', 0)]).toEqual([4, 9, 0, 5, 8, 3, 1, 2, 6, 7]);
  });
});
