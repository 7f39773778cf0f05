/** A trial's curves, short enough to be drawn for thousands of trials. */
import { join } from 'node:path';
import { groupBy } from '../base/group-by';
import { readIfThere } from '../store/read-files';
import { trialDir } from '../store/sweep-store';
import type { Curve } from './types';

/** A curve has so many points at most: more cannot be told apart in a plot. */
const POINTS = 40;

interface Line {
  name: string;
  step: number;
  /** A number, or the name of what is none. */
  value: number | string;
}

/**
 * The series of metrics.jsonl with these names that have several values. Of a longer one, the
 * values of neighbouring steps are averaged, and stand at the last of them.
 */
export async function readCurves(
  root: string,
  trialId: string,
  names: readonly string[],
): Promise<Record<string, Curve>> {
  const text = (await readIfThere(join(trialDir(root, trialId), 'metrics.jsonl'))) ?? '';
  const lines = text
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => JSON.parse(row) as Line)
    .filter(({ name, value }) => names.includes(name) && typeof value === 'number');
  const series = groupBy(lines, ({ name }) => name);
  return Object.fromEntries(
    [...series].filter(([, own]) => own.length > 1).map(([name, own]) => [name, thin(own)]),
  );
}

function thin(lines: readonly Line[]): Curve {
  const sorted = lines.toSorted((a, b) => a.step - b.step);
  const length = Math.ceil(sorted.length / POINTS);
  const curve: Curve = { steps: [], values: [] };
  for (let i = 0; i < sorted.length; i += length) {
    const part = sorted.slice(i, i + length);
    curve.steps.push(part.at(-1)!.step);
    const mean = part.reduce((sum, { value }) => sum + Number(value), 0) / part.length;
    curve.values.push(Number(mean.toPrecision(6)));
  }
  return curve;
}
