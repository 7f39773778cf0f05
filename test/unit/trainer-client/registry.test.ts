/** A root's trainers: who lists them, what a source stands for, and what is void. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST } from '../../../common/process-identity';
import {
  holdTrainerList,
  readTrainers,
  removeTrainerList,
  writeTrainerList,
  type TrainerList,
} from '../../../orchestrator/trainer-client/registry';
import { checkSource, firstAddress } from '../../../orchestrator/trainer-client/sources';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-registry-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const list = (addresses: string[], more: Partial<TrainerList> = {}): TrainerList => ({
  ...{ format: 1, owner: 'a test', host: HOST },
  trainers: addresses.map((address) => ({ name: address, address })),
  ...more,
});
const addressesOf = async () => (await readTrainers(root)).trainers.map(({ address }) => address);
const GONE = { pid: 1, started: 'before the boot', host: HOST };

test('every owner’s trainers are found, each address once, and leave with the file', async () => {
  expect(await readTrainers(root)).toEqual({ trainers: [], problems: [] });
  writeTrainerList(root, 'services-1', list(['unix:/tmp/a', 'box:1']));
  writeTrainerList(root, 'worker-2', list(['box:1', 'box:2']));
  expect(await addressesOf()).toEqual(['unix:/tmp/a', 'box:1', 'box:2']);
  removeTrainerList(root, 'services-1');
  expect(await addressesOf()).toEqual(['box:1', 'box:2']);
});

test('a file of addresses and a name are expanded anew at each look', async () => {
  const file = join(root, 'boxes');
  writeFileSync(file, '# the lab\n\nbox:1 # the old one\n  box:2\n');
  writeTrainerList(root, 'services-1', list([`@${file}`, 'dns:localhost:7400']));
  const { trainers, problems } = await readTrainers(root);
  expect(problems).toEqual([]);
  expect(trainers.slice(0, 2).map(({ address }) => address)).toEqual(['box:1', 'box:2']);
  const local = trainers.slice(2).map(({ address }) => address);
  expect(local).not.toEqual([]);
  for (const address of local) expect(['127.0.0.1:7400', '[::1]:7400']).toContain(address);
  writeFileSync(file, 'box:3\n');
  expect((await addressesOf()).slice(0, 1)).toEqual(['box:3']);
});

test('one bad line, file or name is a problem that hides no other', async () => {
  const file = join(root, 'boxes');
  writeFileSync(file, 'box:1\nbox\n');
  const missing = join(root, 'none');
  const name = 'dns:no-such-name.invalid:7400';
  writeTrainerList(root, 'a', list([`@${file}`, `@${missing}`, name, 'box:99999', 'box:2']));
  writeFileSync(join(root, 'trainers', 'b.json'), '{"format": 1');
  writeFileSync(join(root, 'trainers', 'c.json'), '{"trainers": [null]}');
  const { trainers, problems } = await readTrainers(root);
  expect(trainers.map(({ address }) => address)).toEqual(['box:1', 'box:2']);
  expect(problems).toEqual([
    `${file}:2: trainer address box is neither unix:/path.sock nor host:port`,
    `${missing}: there is no such file`,
    expect.stringMatching(`^trainer ${name}: the name does not resolve just now \\(`),
    'trainer address box:99999: 99999 is not a port, 1 to 65535',
    expect.stringMatching(/b\.json: is not complete JSON/),
    expect.stringMatching(/c\.json: lists no trainers; remove it to go on/),
  ]);
});

test('`listed` adds none to those that are listed', async () => {
  checkSource('listed');
  expect(firstAddress('listed')).toBeUndefined();
  writeTrainerList(root, 'a', list(['listed', 'box:1']));
  expect(await readTrainers(root)).toMatchObject({
    trainers: [{ address: 'box:1' }],
    problems: [],
  });
});

test('what a file said stays while it cannot be read, and goes when it is removed', async () => {
  const file = join(root, 'boxes');
  writeFileSync(file, 'box:1\n');
  writeTrainerList(root, 'a', list([`@${file}`]));
  expect(await addressesOf()).toEqual(['box:1']);
  // Root may read any file, but no folder as one.
  rmSync(file);
  mkdirSync(file);
  expect(await readTrainers(root)).toMatchObject({
    trainers: [{ address: 'box:1' }],
    problems: [expect.stringContaining(file)],
  });
  rmdirSync(file);
  expect(await addressesOf()).toEqual([]);
});

test('a list is void once its holder is dead, or is silent on another host', async () => {
  const elsewhere = { ...GONE, host: 'node7' };
  writeTrainerList(root, 'dead', list(['box:1'], { holder: GONE }));
  writeTrainerList(root, 'there', list(['box:2'], { holder: elsewhere }));
  expect(await addressesOf()).toEqual(['box:2']);
  const longAgo = new Date(Date.now() - 11 * 60_000);
  utimesSync(join(root, 'trainers', 'there.json'), longAgo, longAgo);
  expect(await addressesOf()).toEqual([]);
});

test('a list is void once the folder that it is about is gone from its host', async () => {
  writeTrainerList(root, 'here', list(['box:1'], { folder: join(root, 'gone') }));
  writeTrainerList(root, 'there', list(['box:2'], { folder: '/gone', host: 'node7' }));
  writeTrainerList(root, 'lives', list(['box:3'], { folder: root }));
  expect(await addressesOf()).toEqual(['box:3', 'box:2']);
});

test('sockets of another host are out of reach', async () => {
  writeTrainerList(root, 'there', list(['unix:/tmp/a', 'localhost:2', 'box:1'], { host: 'node7' }));
  expect(await addressesOf()).toEqual(['box:1']);
});

test('a process holds its list while it lives, and clears away those of the dead', async () => {
  writeTrainerList(root, 'dead', list(['box:1'], { holder: GONE }));
  const release = await holdTrainerList(root, 'trainer', [{ name: 'box:3', address: 'box:3' }]);
  expect(await readTrainers(root)).toEqual({
    trainers: [{ name: 'box:3', address: 'box:3' }],
    problems: [],
  });
  expect(readdirSync(join(root, 'trainers'))).toEqual([
    expect.stringMatching(`^trainer-[a-z0-9-]+-${process.pid}\\.json$`),
  ]);
  release();
  expect(readdirSync(join(root, 'trainers'))).toEqual([]);
});

describe('a source on the command line', () => {
  test.each([
    ['dns:box', 'trainer dns:box is not dns:<name>:<port>'],
    ['dns:box:0', '0 is not a port'],
    ['@/nowhere/boxes', '/nowhere/boxes: there is no such file'],
    ['box', 'is neither unix:/path.sock nor host:port'],
  ])('is refused if it cannot be used: %s', (source, message) => {
    expect(() => checkSource(source)).toThrow(message);
  });

  test('that is a file with a bad line is refused with the line', () => {
    const file = join(root, 'boxes');
    writeFileSync(file, '# none yet\nunix:relative\n');
    expect(() => checkSource(`@${file}`)).toThrow(`${file}:2: trainer address unix:relative`);
    writeFileSync(file, 'box:1\nbox:2\n');
    checkSource(`@${file}`);
    expect(firstAddress(`@${file}`)).toBe('box:1');
    expect(existsSync(join(root, 'trainers'))).toBe(false);
  });
});
