/**
 * A disk that is full while a sweep runs: all wait and say so, and once there is room, the sweep
 * ends with the numbers that it would have had.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { testIf } from '../support/reference';
import { SmallDisk, whyNoSmallDisk } from '../support/small-disk';
import type { Workplace } from '../support/workplace';
import { comparable, TwoRuns } from './two-runs';

const { SA_ORCH_DATA: data, SA_ORCH_TEST_PYTHON: python } = process.env;
const why = whyNoSmallDisk();
const withTorch = why
  ? test.skip
  : testIf('a sweep whose disk is full', { SA_ORCH_TEST_PYTHON: python });
const SWEEP = `
name: full
tasks: [cola]
rows: 96
validation_rows: 48
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: none}
  - {pruner: snip, sparsity: 0.8}
train: {steps: 40, batch_size: 16, learning_rate: 1.0e-3, dropout: 0.1}
`;
/** Enough for the sweep, and filled in no time. */
const DISK_MEGABYTES = 256;

jest.setTimeout(600_000);

describe(`a disk that is full while a sweep runs${why ? ` (skipped: ${why})` : ''}`, () => {
  let runs: TwoRuns;
  let disk: SmallDisk | undefined;
  let place: Workplace | undefined;
  beforeEach(() => (runs = new TwoRuns(python!, data)));
  afterEach(async () => {
    await place?.down();
    disk?.unmount();
    await runs.remove();
  });

  withTorch('is waited for, whatever dies meanwhile, and changes nothing', async () => {
    writeFileSync(join(runs.folder, 'full.yaml'), SWEEP);
    const typed = runs.startArguments('full.yaml');
    const hit = await runs.compare(typed, async ({ place: here, brake }) => {
      // Artifact root, state and logs are all on it.
      disk = new SmallDisk(here.folder, DISK_MEGABYTES);
      place = here;
      const command = here.spawn(typed);
      await here.moves('train');
      disk.fill();
      await saysSo(here);
      const services = await here.services();
      expect(services.map(({ state }) => state)).toEqual(['ready', 'ready', 'ready', 'ready']);
      const [supervisor, ...others] = services.map(({ pid }) => pid!);
      for (const pid of others) process.kill(pid, 'SIGKILL');
      brake.release();
      await sleep(3000);
      expect((await here.services())[0]).toMatchObject({ state: 'ready', pid: supervisor });
      disk.free();
      const { status, stdout } = await command.ended;
      expect(stdout).toContain(`no room on the disk of ${here.root}: 0 MB free; the sweep waits`);
      expect(status).toBe(0);
    });
    expect(comparable(hit)).toHaveLength(2);
  });
});

async function saysSo(place: Workplace): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { stdout } = await place.run(['status']);
    if (stdout.includes(`no room on the disk of ${place.root}: 0 MB free; sweeps wait`)) return;
    await sleep(300);
  }
  throw new Error('nobody says that the disk is full');
}
