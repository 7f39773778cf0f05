/** The brake of a trainer on trainer/host: brake.ts has Node load this first. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pace } from '../../trainer/host/pace';
import { BRAKE_VARIABLE } from './brake';

const file = process.env[BRAKE_VARIABLE]!;
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its `this` below
const { advance } = Pace.prototype;

Pace.prototype.advance = async function (this: Pace, ...pass: Parameters<typeof advance>) {
  if (existsSync(file)) {
    writeFileSync(`${file}.felt`, '');
    await sleep(Number(readFileSync(file, 'utf8')));
  }
  return advance.apply(this, pass);
};
