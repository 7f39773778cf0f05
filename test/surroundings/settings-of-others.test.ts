/**
 * A shell and a folder that are set up for other work: proxies that cannot be reached, Python
 * settings of another installation, files and packages named like those that the services import,
 * threads, locales and temporary folders of other programs.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { Workplace } from '../support/workplace';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-others-'));
const libraries = join(folder, 'libraries');

/** Nothing listens on port 9. */
const PROXIES = ['http', 'https', 'grpc', 'all', 'ftp'].flatMap((scheme) => [
  `${scheme}_proxy`,
  `${scheme.toUpperCase()}_PROXY`,
]);
const MODULES = ['random', 'queue', 'torch', 'numpy', 'grpc', 'google', 'sitecustomize'];

const place = new Workplace(join(folder, 'mine'), {
  HF_HUB_OFFLINE: '1',
  ...Object.fromEntries(PROXIES.map((name) => [name, 'http://127.0.0.1:9'])),
  ...{ no_proxy: undefined, NO_PROXY: undefined },
  ...{ PYTHONHOME: '/usr', PYTHONPATH: `${libraries}::.`, PYTHONUSERBASE: libraries },
  ...{ PYTHONSTARTUP: join(libraries, 'random.py'), PYTHONWARNINGS: 'error', PYTHONUTF8: '0' },
  ...{ OMP_NUM_THREADS: '0', MKL_NUM_THREADS: '64', CUDA_VISIBLE_DEVICES: '' },
  ...{ LC_ALL: 'C', COLUMNS: '40', TMPDIR: join(folder, 'none') },
  ...{ NODE_PATH: libraries, NODE_OPTIONS: '--no-deprecation', npm_config_prefix: libraries },
});

beforeAll(() => {
  writeFilmReviews(place.folder);
  for (const where of [place.folder, libraries]) {
    mkdirSync(where, { recursive: true });
    for (const name of MODULES)
      writeFileSync(join(where, `${name}.py`), 'raise RuntimeError("not yours")\n');
  }
  writeFileSync(join(place.folder, 'package.json'), '{ "type": "module", "name": "sa-orch" }');
  for (const name of ['@grpc/grpc-js', '@temporalio/client', 'commander'])
    for (const where of [join(place.folder, 'node_modules'), libraries]) {
      mkdirSync(join(where, name), { recursive: true });
      writeFileSync(join(where, name, 'index.js'), 'throw new Error("not yours")');
    }
});
afterAll(async () => {
  await place.down();
  rmSync(folder, { recursive: true, force: true });
});

test('a sweep runs', async () => {
  const { status, stderr, stdout } = await place.run(['start', '--sweep', 's.yaml']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/1 of 1 trials done/);
  expect(status).toBe(0);
});

test('TensorFlow.js trains, too', async () => {
  const there = new Workplace(join(folder, 'other'), place.env);
  try {
    expect(await there.run(['up', '--framework', 'tfjs'])).toMatchObject({ status: 0, stderr: '' });
  } finally {
    await there.down();
  }
});

test('services are asked directly, and nothing that works is to be removed', async () => {
  const services = await place.services();
  expect(services.filter(({ state }) => state !== 'ready')).toEqual([]);
  const { stdout } = await place.run(['doctor']);
  expect(stdout).toMatch(/trainer torch +Python 3/);
  expect(stdout).not.toMatch(/[Rr]emove/);
});
