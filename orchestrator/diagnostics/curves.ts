/** A trial's curves, short enough to be drawn for thousands of trials. */
import { join } from 'node:path';
import { groupBy } from '../base/group-by';
import { readIfThere } from '../store/read-files';
import { listRungResults } from '../store/rung-results';
import { readDoneResult, trialDir } from '../store/sweep-store';
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
 * The series with these names that have several values: those of metrics.jsonl, and what the trial
 * came to where it was evaluated. Of a longer one, the values of neighbouring steps are averaged,
 * and stand at the last of them.
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
    .map((row) => JSON.parse(row) as Line);
  lines.push(...(await readEvaluations(root, trialId)));
  const known = lines.filter(
    ({ name, value }) => names.includes(name) && typeof value === 'number',
  );
  const series = groupBy(known, ({ name }) => name);
  return Object.fromEntries(
    [...series].filter(([, own]) => own.length > 1).map(([name, own]) => [name, thin(own)]),
  );
}

/** Metrics at each evaluation, the last included; none if that is the only one. */
async function readEvaluations(root: string, trialId: string): Promise<Line[]> {
  const early = await listRungResults(root, trialId);
  const last = early.length === 0 ? null : await readDoneResult(root, trialId);
  return [...early, ...(last === null ? [] : [last])].flatMap(({ metrics, stopped_at, train }) =>
    Object.entries(metrics).map(([name, value]) => ({
      ...{ name, value },
      step: stopped_at?.step ?? train.steps,
    })),
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
