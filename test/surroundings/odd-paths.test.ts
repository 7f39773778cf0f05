/** Folders and files with names that are hard to type. */
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
    writeFilmReviews(place.folder);
  });
  afterAll(async () => {
    await place.down();
    rmSync(folder, { recursive: true, force: true });
  });

  test('holds a sweep from start to table', async () => {
    const { status, stderr, stdout } = await place.run(['start', '--sweep', './s.yaml']);
    expect(stderr).not.toMatch(/error/);
    expect(stdout).toMatch(/dense/);
    expect(status).toBe(0);
  });
});
