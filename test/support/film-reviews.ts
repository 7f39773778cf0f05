/** A user's own small experiment: 32 rows in `t.csv` and a sweep file, of three steps. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROWS = Array.from({ length: 16 }, (_, i) => [
  `an awful film number ${2 * i + 1},neg`,
  `a great film number ${2 * i + 2},pos`,
]).flat();

/** Parts of a sweep file. */
interface Parts {
  /** Of the file, without its ending; by default `s`. */
  name?: string;
  adapter?: string;
  seeds?: string;
  steps?: number;
  learningRate?: number;
}

export function writeFilmReviews(
  folder: string,
  {
    name = 's',
    adapter = '{ kind: houlsby, bottleneck: 4 }',
    seeds = '[1]',
    steps = 3,
    learningRate,
  }: Parts = {},
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 't.csv'), `text,label\n${ROWS.join('\n')}\n`);
  const rate = learningRate === undefined ? '' : `, learning_rate: ${learningRate}`;
  writeFileSync(
    join(folder, `${name}.yaml`),
    `tasks:
  - { name: t, kind: classification, train: t.csv, validation: t.csv, text: text, label: label }
adapter: ${adapter}
compare: [{ pruner: none }]
seeds: ${seeds}
train: { steps: ${steps}, batch_size: 8${rate} }
`,
  );
}
