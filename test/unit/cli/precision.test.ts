/** What a start says of how the backbone is computed. */
import type { PrecisionName } from '../../../common/vocabulary/precisions';
import { sayPrecision } from '../../../orchestrator/cli/precision';

function said(
  asked: PrecisionName | null,
  precision: PrecisionName,
  unlisted: PrecisionName | null = null,
): string[] {
  const lines: string[] = [];
  sayPrecision(asked, { precision, unlisted }, (...line) => lines.push(line.join(' ')));
  return lines;
}

test('a default that is not float32 is said, with the way to another', () => {
  expect(said(null, 'bf16')).toEqual([
    '✓ precision bf16 (the default on a GPU; --precision float32 for IEEE single precision)',
  ]);
});

test('a trainer without its device’s default precision is not refused: another is used', () => {
  expect(said(null, 'float32', 'bf16')).toEqual([
    '✓ precision float32: this trainer has no bf16, the default on a GPU',
  ]);
});

test('nothing is said where all is as it always was', () => {
  expect(said(null, 'float32')).toEqual([]);
  expect(said('float32', 'float32')).toEqual([]);
});

test('what was asked for is said, and what would have been', () => {
  expect(said('bf16', 'bf16')).toEqual(['✓ precision bf16, as requested']);
  expect(said('bf16', 'float32')).toEqual([
    '✓ precision bf16, as requested; the default here is float32',
  ]);
  expect(said('float32', 'bf16')).toEqual([
    '✓ precision float32, as requested; the default here is bf16',
  ]);
});
