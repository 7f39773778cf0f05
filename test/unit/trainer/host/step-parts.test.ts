/** Which rows the steps of a training take. */
import { StepParts } from '../../../../trainer/host/step-parts';
import { trial } from '../../../support/jobs';

const ROWS = 10;
const sizes = (train: Parameters<typeof trial>[1], steps: number) => {
  const parts = new StepParts(trial('t', train).train!, ROWS, 1);
  return Array.from({ length: steps }, (_, done) =>
    parts.next(done).map(({ rows, share }) => [rows.length, share]),
  );
};

test('a step has one part, and the last of an epoch what is left', () => {
  const found = sizes({ train: { batchSize: 4 } }, 4);
  expect(found).toEqual([[[4, 1]], [[4, 1]], [[2, 1]], [[4, 1]]]);
});

test('batches add up, and those that an epoch leaves over come first in the next', () => {
  const found = sizes({ train: { batchSize: 4, accumulatedBatches: 2 } }, 3);
  expect(found.map((parts) => parts.map(([rows]) => rows))).toEqual([
    [4, 4],
    [2, 4, 4],
    [2, 4, 4],
  ]);
  expect(found.flat().every(([, share]) => share === 0.5)).toBe(true);
});

test('a batch is divided into parts, whose means are averaged', () => {
  const [first, , last] = sizes({ train: { batchSize: 4, lossParts: 3 } }, 3);
  expect(first).toEqual([
    [2, 0.5],
    [2, 0.5],
  ]);
  expect(last).toEqual([
    [1, 0.5],
    [1, 0.5],
  ]);
});
