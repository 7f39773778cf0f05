/** What `plan` and `start` say of the data, of what is done already and of what was edited. */
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { Workplace } from '../support/workplace';

const SAME_FILE = 't: train and validation are the same file';
const folder = mkdtempSync(join(tmpdir(), 'sa-orch-edited-'));
const place = new Workplace(folder, { HF_HUB_OFFLINE: '1' });
const file = join(folder, 's.yaml');

beforeAll(() => writeFilmReviews(folder, { seeds: '1-2' }));
afterAll(async () => {
  await place.down();
  rmSync(folder, { recursive: true, force: true });
});

/** Reads stdout of a command that is meant to succeed. */
async function say(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await place.run(args);
  expect(stderr).not.toMatch(/error/);
  expect(status).toBe(0);
  return stdout;
}

test('plan shows the classes and warns, and makes nothing', async () => {
  const said = await say('plan', '--sweep', './s.yaml', '--seeds', '3');
  expect(said).toMatch(/^· labels +t: neg 16 \/ 16, pos 16 \/ 16 \(train \/ validation\)$/m);
  expect(said).toMatch(new RegExp(`^! data +${SAME_FILE}`, 'm'));
  expect(said).toMatch(/^· seeds +one seed, number 3; 3 seeds are written 1-3$/m);
  expect(said).toMatch(/1 trial in 1 cohort, time unknown until one trial of each task/);
  expect([place.root, place.stateDir].filter((path) => existsSync(path))).toEqual([]);
});

test('start says what was edited since, plan what is done already', async () => {
  const first = await say('start', '--sweep', './s.yaml');
  expect(first).not.toMatch(/differs from/);
  expect(first).toMatch(new RegExp(`the data may mislead:\\n +${SAME_FILE}`));
  const sweep = /sweep (s-[0-9a-f]{8})/.exec(first)![1]!;

  const same = await say('plan', '--sweep', './s.yaml');
  expect(same).toMatch(/2 trials in 1 cohort, 2 done already, nothing left to run/);
  const more = await say('plan', '--sweep', './s.yaml', '--seeds', '1-4');
  expect(more).toMatch(/4 trials in 1 cohort, 2 done already, about \d+ s of training left at/);
  expect(more).toMatch(
    new RegExp(`last sweep ${sweep} of this name: seeds 1, 2 → 1, 2, 3, 4$`, 'm'),
  );
  expect(more).toMatch(/`start` makes a new sweep of it; to add it to that one: `/);
  const { done, estimated_seconds, last_sweep, warnings } = JSON.parse(
    await say('plan', '--sweep', './s.yaml', '--seeds', '1-4', '--json'),
  ) as Record<string, unknown>;
  const command = `sa-orch extend ${sweep} --seeds 3,4`;
  expect({ done, last_sweep }).toEqual({
    done: 2,
    last_sweep: {
      ...{ sweep_id: sweep, differences: ['seeds 1, 2 → 1, 2, 3, 4'] },
      extend: command,
    },
  });
  const dry = await say(...command.split(' ').slice(1), '--dry-run');
  expect(dry).toMatch(/^· to run +2 new trials in 1 cohort, about \d+ s of training$/m);
  expect(estimated_seconds).toBeGreaterThan(0);
  expect(warnings).toEqual([expect.stringContaining(SAME_FILE)]);

  writeFileSync(file, readFileSync(file, 'utf8').replace('steps: 3', 'steps: 4'));
  appendFileSync(join(folder, 't.csv'), 'a film that was added,pos\n');
  const edited = await say('start', '--sweep', './s.yaml', '--detach');
  expect(edited).toMatch(
    new RegExp(
      `^· changed +differs from the last sweep ${sweep} of this name: data of t changed \\(train ` +
        '32 → 33 rows, validation 32 → 33 rows\\); train.steps 3 → 4$',
      'm',
    ),
  );
}, 60_000);
