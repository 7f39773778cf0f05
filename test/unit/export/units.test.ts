import {
  padUnits,
  listPairs,
  removeGoneUnits,
  tensorsOf,
} from '../../../orchestrator/export/units';
import { readHalf } from '../../../orchestrator/export/open-backbone';

const matrix = (rows: number[][]) => ({
  shape: [rows.length, rows[0]!.length],
  data: Float32Array.from(rows.flat()),
});
const values = (tensor: { data: Float32Array }) => [...tensor.data];

/** Unit 0 is whole; of unit 1 the column of up is gone, of unit 2 the row of down. */
const DOWN = matrix([
  [1, 2],
  [3, 4],
  [0, 0],
]);
const UP = matrix([
  [5, 0, 6],
  [7, 0, 8],
]);

test('of LoRA a unit is gone without its row of down, or its column of up', () => {
  const weights = new Map([
    ['layers.0.query.down.weight', DOWN],
    ['layers.0.query.up.weight', UP],
  ]);
  const pair = removeGoneUnits(listPairs(weights)[0]!);
  expect(pair.down.shape).toEqual([1, 2]);
  expect(values(pair.up)).toEqual([5, 7]);
  expect(pair.trained).toBe(3);
});

test('of a bottleneck a unit without its row of down stays: its bias adds something', () => {
  const weights = new Map([
    ['layers.0.ffn.down.weight', DOWN],
    ['layers.0.ffn.up.weight', UP],
    ['layers.0.ffn.down.bias', { shape: [3], data: Float32Array.of(1, 2, 3) }],
  ]);
  const pair = removeGoneUnits(listPairs(weights)[0]!);
  const tensors = Object.fromEntries(tensorsOf(pair));
  expect(values(tensors['down.bias']!)).toEqual([1, 3]);
  expect(values(pair.up)).toEqual([5, 6, 7, 8]);
  expect(values(padUnits(pair, 3).up)).toEqual([5, 6, 0, 7, 8, 0]);
});

test.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0001, 2 ** -24],
  [0x7c00, Infinity],
])('half precision %i is %d', (bits, value) => expect(readHalf(bits)).toBe(value));
