/** Folders and files with names that are hard to type. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { Workplace } from '../support/workplace';

describe('a folder whose name has spaces, quotes, a dollar and letters of other scripts', () => {
  let folder: string;
  let place: Workplace;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-odd-'));
    place = new Workplace(join(folder, "Ordner – 東京 'q' $x"), { HF_HUB_OFFLINE: '1' });
    writeFilmReviews(place.folder, { name: 'my s' });
    writeFilmReviews(place.folder, { name: '-x', seeds: '2' });
  });
  afterAll(async () => {
    await place.down();
    rmSync(folder, { recursive: true, force: true });
  });

  test('holds a sweep from start to table', async () => {
    const { status, stderr, stdout } = await place.run(['start', '--sweep', './my s.yaml']);
    expect(stderr).not.toMatch(/error/);
    expect(stdout).toMatch(/· name +my-s, after the file "my s.yaml"; name: sets another one/);
    expect(stdout).toMatch(/✓ sweep my-s-\w{8} /);
    expect(stdout).toMatch(/dense/);
    expect(status).toBe(0);
  });

  test('prints commands that work as they are printed', async () => {
    const { root, stateDir } = place;
    const more = ['--detach', '--root', root, '--state-dir', stateDir];
    const started = await place.run(['start', '--sweep', '-x.yaml', ...more]);
    const [, printed] = /`(.* watch .*)`/.exec(started.stdout) ?? [];
    const { status, stdout } = spawnSync('bash', ['-c', printed!], {
      cwd: '/',
      env: { PATH: process.env.PATH, HOME: place.folder },
      encoding: 'utf8',
    });
    expect(stdout).toMatch(/1 of 1 trials done/);
    expect(status).toBe(0);
  });
});
