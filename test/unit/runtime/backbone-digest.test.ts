/** A digest must change with the bytes, whatever a copying program does to the files' times. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestFiles } from '../../../orchestrator/runtime/backbone-digest';

const DAY = new Date('2024-01-01');
const NAME = 'model.safetensors';

let folder: string;
let path: string;
let cache: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-digest-'));
  cache = join(folder, 'cache');
  process.env.SA_ORCH_CACHE = cache;
  path = join(folder, 'model');
  for (const each of [path, join(folder, 'other')]) mkdirSync(each);
  write('model', 'A');
  write('other', 'B');
});
afterEach(() => {
  jest.restoreAllMocks();
  delete process.env.SA_ORCH_CACHE;
  rmSync(folder, { recursive: true });
});

/** Weights of one size and one time. */
function write(where: string, letter: string): void {
  const file = join(folder, where, NAME);
  writeFileSync(file, letter.repeat(1000));
  utimesSync(file, DAY, DAY);
}

const digest = () => digestFiles(path, [NAME]);

/** The clock that tells how old a change is. */
function passTime(ms: number): void {
  const now = Date.now();
  jest.spyOn(Date, 'now').mockReturnValue(now + ms);
}

const BEHIND: [string, () => void][] = [
  ['written in place, with the time set back', () => write('model', 'B')],
  ['cp -p', () => execFileSync('cp', ['-p', join(folder, 'other', NAME), join(path, NAME)])],
  [
    'tar',
    () => {
      execFileSync('tar', ['-cf', join(folder, 'b.tar'), '-C', join(folder, 'other'), NAME]);
      execFileSync('tar', ['-xf', join(folder, 'b.tar'), '-C', path]);
    },
  ],
  [
    // As rsync --times does after writing beside it.
    'mv over it',
    () => execFileSync('mv', [join(folder, 'other', NAME), join(path, NAME)]),
  ],
];

describe('the digest of a backbone', () => {
  test.each(BEHIND)(
    'sees bytes that changed behind equal size and time: %s',
    async (_how, change) => {
      passTime(60_000);
      const first = await digest();
      expect(readdirSync(join(cache, 'digests'))).toHaveLength(1);
      // Longer than the step of the clock that file systems use.
      await sleep(20);
      change();
      expect(await digest()).not.toBe(first);
    },
  );

  test('is not read again while nothing changes', async () => {
    passTime(60_000);
    const first = await digest();
    const [name] = readdirSync(join(cache, 'digests'));
    const cached = join(cache, 'digests', name!);
    execFileSync('sed', ['-i', `s/${first}/cached/`, cached]);
    expect(await digest()).toBe('cached');
  });

  test('is not kept right after a change, when another one may have the same times', async () => {
    const first = await digest();
    write('model', 'C');
    expect(await digest()).not.toBe(first);
    write('model', 'A');
    expect(await digest()).toBe(first);
  });
});
