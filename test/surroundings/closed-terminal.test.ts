/** A terminal that is closed while a command runs in it: a window, a lost connection. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Brake } from '../support/brake';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { REPOSITORY } from '../support/trainers';
import { Workplace } from '../support/workplace';
import { COMMAND } from './broken-place';

const HUNG_UP = 128 + constants.signals.SIGHUP;
const python = process.env.SA_ORCH_TEST_PYTHON!;

describeTrainer('a command whose terminal is closed', () => {
  let toys: TrainerPlace;
  let place: Workplace;
  let brake: Brake;
  beforeAll(async () => {
    toys = new TrainerPlace();
    brake = new Brake(join(toys.folder, 'brake'), python);
    await toys.start([], 'toy', brake);
    place = new Workplace(join(toys.folder, 'place'), { HF_HUB_OFFLINE: '1' }, toys.root);
    writeFilmReviews(place.folder, { adapter: '{ kind: head_only }', seeds: '1-3' });
  });
  afterAll(async () => {
    await place.down();
    await toys.remove();
  });

  /** Types a command in a terminal that is closed once the command has printed a text. */
  async function typeAndClose(args: string[], printed: string) {
    const script = join(REPOSITORY, 'test/support/closed_terminal.py');
    const child = spawn(python, [script, printed, process.execPath, COMMAND, ...args], {
      cwd: place.folder,
      env: { ...place.env, COLUMNS: '200', TERM: 'xterm' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    const said = await text(child.stdout);
    return { said, status: await ended };
  }
  const start = () => ['start', '--sweep', 's.yaml', '--trainer', toys.address];

  test('leaves the services, and nothing submitted, if it was still setting up', async () => {
    const { said, status } = await typeAndClose(start(), '✓ Temporal');
    expect(said).not.toContain('✓ sweep');
    expect(status).toBe(HUNG_UP);
    expect(existsSync(join(place.root, 'sweeps'))).toBe(false);
    expect((await place.services()).find(({ name }) => name === 'supervisor')?.pid).toBeTruthy();
  });

  test('leaves its sweep, which a later `watch` and `report` show whole', async () => {
    brake.hold();
    const { said, status } = await typeAndClose(start(), '· running');
    expect(said).toContain('✓ sweep s-');
    expect(said).not.toContain('error');
    expect(status).toBe(HUNG_UP);
    const id = place.sweepId();
    expect((await place.run(['status'])).stdout).toMatch(new RegExp(`${id} +running +0 of 3`));

    // So is one that follows it.
    expect((await typeAndClose(['watch', id], '· running')).status).toBe(HUNG_UP);
    brake.release();
    const watched = await place.run(['watch', id]);
    expect(watched).toMatchObject({ status: 0, stderr: '' });
    expect(watched.stdout).toMatch(/3 of 3 trials done\n\nreport/);
    expect((await place.run(['report', id])).stdout).toMatch(/ +dense\b.* 3 /);
    // Nothing began anew: each work of the cohort was one job.
    const jobs = readdirSync(join(place.root, 'sweeps', id, 'jobs'));
    expect(jobs.map((name) => /\.(\w+)-/.exec(name)![1]).sort()).toEqual([
      'predict',
      'prune',
      'train',
    ]);
    expect(readFileSync(join(place.stateDir, 'logs', 'worker.log'), 'utf8')).not.toMatch(/error/i);
  });
});
