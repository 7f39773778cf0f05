/** A start with a setting that cannot work, and then the same start without it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { Workplace } from '../support/workplace';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-failed-'));
const place = new Workplace(folder, { HF_HUB_OFFLINE: '1' });
const start = ['start', '--sweep', 's.yaml'];

beforeAll(() => writeFilmReviews(folder));
afterAll(async () => {
  await place.down();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  [['--threads', '0'], /--threads.*must be at least 1/],
  [['--trainer', 'box:0'], /box:0: 0 is not a port, 1 to 65535/],
  [['--trainer', 'box:7400', '--threads', '2'], /--threads can be set only for a trainer that/],
  [['--python', '/none/python'], /\/none\/python is not a working Python/],
])('is refused before anything is started: %j', async (flags, message) => {
  const { status, stderr } = await place.run([...start, ...flags]);
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
  expect(existsSync(join(place.stateDir, 'runtime.json'))).toBe(false);
});

test('leaves no service and no setting behind, whoever found that it cannot work', async () => {
  const nobody = await place.run(['up', '--trainer', `unix:${folder}/nobody.sock`]);
  expect(nobody).toMatchObject({ status: 3 });
  // The user's own PyTorch might have such a GPU: only its trainer finds out, here at once.
  const python = join(folder, 'own-python');
  writeFileSync(
    python,
    '#!/bin/sh\ncase "$*" in *--listen*) echo "--device cuda:77: no such GPU"; exit 2;; esac\n' +
      `exec ${process.env.SA_ORCH_TEST_PYTHON} "$@"\n`,
    { mode: 0o755 },
  );
  const { status, stderr } = await place.run(['up', '--python', python, '--device', 'cuda:77']);
  expect(stderr).toMatch(/the trainer refuses these settings:\n.*--device cuda:77: no such GPU/);
  expect(status).toBe(2);
  expect(await place.services()).toEqual([]);
  const unfit = await place.run([...start, '--framework', 'tfjs', '--precision', 'bf16']);
  expect(unfit.stderr).toMatch(/cannot run this sweep:[\s\S]*bf16/);
  expect(unfit.status).toBe(2);
  expect(await place.services()).toEqual([]);

  expect(await place.run(start)).toMatchObject({ status: 0, stderr: '' });
  const other = await place.run([...start, '--threads', '1']);
  expect(other.status).toBe(2);
  expect(other.stderr).toMatch(/--threads is not set, but 1 was requested[\s\S]*sa-orch\S* down/);
});
