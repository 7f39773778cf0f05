/** Sweeps are found by their ids' beginnings, here and where services were started last. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findSweep } from '../../../orchestrator/cli/find-place';
import { readKnownPlaces, rememberPlace } from '../../../orchestrator/runtime/known-places';

let folder: string;
let env: NodeJS.ProcessEnv;
let printed: jest.SpyInstance;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-places-'));
  env = { XDG_STATE_HOME: join(folder, 'state') };
  printed = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  printed.mockRestore();
  rmSync(folder, { recursive: true });
});

/** A folder with sweeps, in which services were started. */
const makePlace = (name: string, ...sweeps: string[]) =>
  makePlaceFrom(join(folder, name), name, ...sweeps);

/** The same, where they were started in another folder. */
function makePlaceFrom(from: string, name: string, ...sweeps: string[]) {
  const place = join(folder, name);
  const root = join(place, 'checkpoints');
  for (const id of sweeps) {
    mkdirSync(join(root, 'sweeps', id), { recursive: true });
    writeFileSync(join(root, 'sweeps', id, 'plan.json'), '{}');
  }
  const found = { folder: from, root, stateDir: join(place, '.sa-orch') };
  rememberPlace(found, env);
  return found;
}

const find = (word: string, options = {}) => findSweep(word, options, undefined, env);

test('a sweep of another folder is found by a beginning of its id, with a word', async () => {
  const { root, stateDir } = makePlace('a', 'glue-1234', 'xsum-1');
  makePlace('b', 'squad-1');
  await expect(find('glue-1')).resolves.toEqual({ sweepId: 'glue-1234', root, stateDir });
  expect(printed.mock.calls.join()).toContain(`in ${join(folder, 'a')}`);
});

test('ids that begin alike, and the same sweep in two folders, are told apart', async () => {
  const { root } = makePlace('a', 'glue-12', 'glue-13');
  const b = makePlace('b', 'glue-12');
  await expect(find('glue-1')).rejects.toThrow('glue-1 is the beginning of glue-12, glue-13');
  await expect(find('glue-12')).rejects.toThrow(
    `glue-12 is in several places: ${join(folder, 'b')}, ${join(folder, 'a')}`,
  );
  await expect(find('glue-12', { root })).resolves.toMatchObject({ root });
  await expect(find('glue-12', { root: b.root })).resolves.toMatchObject({ root: b.root });
});

test('places of one folder are told apart by what names them', async () => {
  const a = makePlace('a', 'glue-12');
  const b = makePlaceFrom(a.folder, 'b', 'glue-12');
  await expect(find('glue-12')).rejects.toMatchObject({
    message:
      `glue-12 is in several places: --root ${b.root} --state-dir ${b.stateDir}, ` + a.folder,
    hint: 'Give the command in one of these folders, or with these --root and --state-dir.',
  });
});

test('a sweep that is nowhere: the folders are named, unless the user named one', async () => {
  makePlace('a', 'glue-12');
  await expect(find('nosuch')).rejects.toMatchObject({
    exitCode: 2,
    hint: expect.stringContaining(`the last ones were ${join(folder, 'a')}.`) as string,
  });
  await expect(find('glue-12', { root: join(folder, 'c') })).rejects.toMatchObject({
    message: `no sweep in ${join(folder, 'c')} has the id glue-12`,
    hint: '`sa-orch status` lists those here.',
  });
});

test('the list is short, newest first, without what is gone; broken, it is empty', () => {
  for (let i = 0; i < 55; i++) makePlace(`p${i}`, 's-1');
  const places = readKnownPlaces(env);
  expect(places).toHaveLength(50);
  expect(places[0]!.folder).toBe(join(folder, 'p54'));
  rmSync(join(folder, 'p54'), { recursive: true });
  expect(readKnownPlaces(env)[0]!.folder).toBe(join(folder, 'p53'));
  const file = join(folder, 'state', 'sa-orch', 'places.json');
  for (const content of ['{', '{"a": 1}', '[null, 3, {"folder": 1}]']) {
    writeFileSync(file, content);
    expect(readKnownPlaces(env)).toEqual([]);
  }
  makePlace('again', 's-1');
  expect(readKnownPlaces(env)).toHaveLength(1);
});

test('a state folder that cannot be written changes nothing', () => {
  writeFileSync(join(folder, 'state'), 'a file');
  expect(() => makePlace('a', 's-1')).not.toThrow();
  expect(readKnownPlaces(env)).toEqual([]);
});
