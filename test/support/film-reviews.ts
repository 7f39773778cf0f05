/** A user's own small experiment: 32 rows in `t.csv` and a sweep file that trains three steps. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROWS = Array.from({ length: 16 }, (_, i) => [
  `an awful film number ${2 * i + 1},neg`,
  `a great film number ${2 * i + 2},pos`,
]).flat();

/** seeds, steps: as in a sweep file. */
export function writeFilmReviews(folder: string, { seeds = '[1]', steps = 3 } = {}): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 't.csv'), `text,label\n${ROWS.join('\n')}\n`);
  writeFileSync(
    join(folder, 's.yaml'),
    `tasks:
  - { name: t, kind: classification, train: t.csv, validation: t.csv, text: text, label: label }
adapter: { kind: houlsby, bottleneck: 4 }
compare: [{ pruner: none }]
seeds: ${seeds}
train: { steps: ${steps}, batch_size: 8 }
`,
  );
}
