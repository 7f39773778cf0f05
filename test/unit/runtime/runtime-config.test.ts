/** runtime.json; files of versions that knew of one trainer are read, so that services go on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  listSources,
  readRuntimeConfig,
  writeRuntimeConfig,
} from '../../../orchestrator/runtime/runtime-config';
import { servicesFor } from '../../../orchestrator/runtime/services';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'sa-orch-config-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const SHARED = {
  ...{ root: '/root', rootId: 'r', build: 'b', taskQueue: 'q' },
  temporal: { kind: 'external', address: 'temporal:7233', namespace: 'n' },
};
const leave = (config: object): void =>
  writeFileSync(join(stateDir, 'runtime.json'), JSON.stringify({ ...SHARED, ...config }));

const ONE = {
  ...{ kind: 'local', framework: 'torch', address: 'unix:/run/trainer.sock', ownPython: null },
  ...{ command: { file: 'python', args: ['-m'], env: {} }, device: 'cuda:1', visibleGpus: '2,3' },
  ...{ threads: 2, unloadAfter: 5 },
};

test('one trainer of format 2 is the first of a list, with the command it has', () => {
  leave({ format: 2, trainer: ONE });
  const config = readRuntimeConfig(stateDir)!;
  expect(config).toMatchObject({ ...SHARED, format: 3, external: [] });
  expect(listSources(config)).toEqual([{ name: 'trainer', address: 'unix:/run/trainer.sock' }]);
  const [trainer] = servicesFor(stateDir, config);
  expect(trainer).toMatchObject({ name: 'trainer', address: 'unix:/run/trainer.sock' });
  expect(trainer!.command).toEqual({
    file: 'python',
    args: [
      ...['-m', '--listen', 'unix:/run/trainer.sock', '--root', '/root'],
      ...['--state', join(stateDir, 'trainer'), '--device', 'cuda:1', '--threads', '2'],
      ...['--unload-after', '5'],
    ],
    env: { CUDA_VISIBLE_DEVICES: '2,3' },
  });
});

test('a named trainer of format 2 stays, with its certificates', () => {
  const tls = { ca: '/pki/ca.pem' };
  leave({ format: 2, trainer: { kind: 'external', address: 'box:1', tls } });
  const config = readRuntimeConfig(stateDir)!;
  expect(config).toMatchObject({ local: null, external: [{ address: 'box:1', tls }] });
  expect(servicesFor(stateDir, config).map(({ name }) => name)).toEqual(['worker']);
  writeRuntimeConfig(stateDir, config);
  expect(readRuntimeConfig(stateDir)).toEqual(config);
});

test('each further trainer has its own socket and state folder', () => {
  leave({ format: 2, trainer: ONE });
  const config = readRuntimeConfig(stateDir)!;
  const { list } = config.local!;
  list.push({ ...list[0]!, name: 'trainer-2', address: 'unix:/run/trainer-2.sock' });
  const [first, second] = servicesFor(stateDir, config);
  expect([first!.name, second!.name]).toEqual(['trainer', 'trainer-2']);
  expect(second!.command.args.slice(1)).toEqual([
    ...['--listen', 'unix:/run/trainer-2.sock', '--root', '/root'],
    ...['--state', join(stateDir, 'trainer-2'), '--device', 'cuda:1', '--threads', '2'],
    ...['--unload-after', '5'],
  ]);
});

test('a file that names no trainer is no configuration, and an older format none of ours', () => {
  for (const [local, external] of [
    [null, []],
    [{ list: [] }, []],
    [{ list: [{}] }, []],
    [null, 'box:1'],
  ]) {
    leave({ format: 3, local, external });
    expect(() => readRuntimeConfig(stateDir)).toThrow('names no server or no trainer');
  }
  leave({ format: 1 });
  expect(readRuntimeConfig(stateDir)).toBeUndefined();
});
