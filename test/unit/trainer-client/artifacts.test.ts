/** Files that move to a trainer and back, and what becomes of those that break on the way. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { digestFolder, FileDigests } from '../../../common/file-digests';
import {
  connectArtifacts,
  type ArtifactClient,
} from '../../../orchestrator/trainer-client/artifacts';
import { fetchArtifact } from '../../../orchestrator/trainer-client/fetch-files';
import { sendFiles } from '../../../orchestrator/trainer-client/send-files';
import { artifactOf, fill, MIB } from '../../support/transfers';
import { ScriptedArtifacts } from '../support/scripted-artifacts';

const DATA = `datasets/${'a'.repeat(32)}/train.safetensors`;
const MASKS = 'trials/t1/masks.safetensors';
const SIZE = 3 * MIB + 5;

let root: string;
let trainer: ScriptedArtifacts;
let client: ArtifactClient;
let notes: string[];
let moved: number;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-artifacts-'));
  trainer = new ScriptedArtifacts();
  await trainer.listen(`unix:${root}/t.sock`);
  client = connectArtifacts(`unix:${root}/t.sock`);
  [notes, moved] = [[], 0];
});
afterEach(() => {
  client.close();
  trainer.close();
  rmSync(root, { recursive: true });
});

const settings = () => ({
  digests: new FileDigests(),
  say: (note: string) => void notes.push(note),
  onBytes: (bytes: number) => void (moved += bytes),
});

describe('a file to a trainer', () => {
  const content = fill(SIZE);
  const send = () => {
    const path = join(root, DATA);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return sendFiles(client, [{ what: 'data set', name: DATA, path }], settings());
  };

  test('arrives in chunks, once, and people see how far it is', async () => {
    await send();
    expect(trainer.files.get(DATA)!.equals(content)).toBe(true);
    expect(moved).toBe(SIZE);
    expect(notes[0]).toMatch(/^sending data set 2 of 4 MB, [\d,]+ MB\/s$/);
    await send();
    expect(trainer.offsets).toEqual([0]);
    expect(moved).toBe(SIZE);
  });

  test('goes on where its connection broke', async () => {
    trainer.faults.push({ after: MIB + 7, code: status.UNAVAILABLE });
    await expect(send()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await send();
    expect(trainer.offsets).toEqual([0, MIB + 7]);
    expect(trainer.files.get(DATA)!.equals(content)).toBe(true);
  });

  test.each(['ABORTED', 'RESOURCE_EXHAUSTED'] as const)('%s is left to who waits', async (code) => {
    trainer.faults.push({ after: 1, code: status[code] });
    await expect(send()).rejects.toMatchObject({ name: 'TrainerError', code });
  });

  test('is sent anew if it arrives broken, but not for ever', async () => {
    const broken = { after: 0, code: status.DATA_LOSS };
    trainer.faults.push(broken, broken);
    await send();
    expect(trainer.files.get(DATA)!.equals(content)).toBe(true);
    trainer.files.clear();
    trainer.faults.push(broken, broken, broken);
    await expect(send()).rejects.toMatchObject({
      name: 'TransferFailed',
      message: expect.stringMatching(/as told; sent 3 times$/) as string,
    });
  });

  test('that changes as it is sent is sent as it has become', async () => {
    const path = join(root, DATA);
    const changed = fill(SIZE, 3);
    trainer.faults.push({ after: 0, code: status.INVALID_ARGUMENT });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    const onBytes = () => writeFileSync(path, changed);
    const file = { what: 'data set', name: DATA, path };
    await sendFiles(client, [file], { ...settings(), onBytes });
    expect(trainer.files.get(DATA)!.equals(changed)).toBe(true);
  });

  test('that never comes as announced is no refused job', async () => {
    const odd = { after: 0, code: status.INVALID_ARGUMENT };
    trainer.faults.push(odd, odd, odd);
    await expect(send()).rejects.toMatchObject({ name: 'TransferFailed' });
  });

  test('stops where it is when nobody wants it any more', async () => {
    const stop = new AbortController();
    const path = join(root, 'file');
    writeFileSync(path, content);
    const onBytes = () => stop.abort(new Error('stopped'));
    await expect(
      client.upload(
        path,
        { artifact: artifactOf(DATA, content), offset: 0 },
        { onBytes, signal: stop.signal },
      ),
    ).rejects.toThrow('stopped');
    // What was on its way may still arrive, but not all of it.
    expect(trainer.files.get(DATA)?.length ?? 0).toBeLessThan(SIZE);
  });
});

describe('a file from a trainer', () => {
  const content = fill(SIZE);
  const fetch = (artifact = artifactOf(MASKS, content), trial = 't1') =>
    fetchArtifact(client, root, trial, artifact, settings());
  const path = () => join(root, MASKS);

  test('goes on where its connection broke, and has its name only when it is whole', async () => {
    trainer.files.set(MASKS, content);
    trainer.faults.push({ after: MIB + 7, code: status.UNAVAILABLE });
    await expect(fetch()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(existsSync(path())).toBe(false);
    await fetch();
    expect(readFileSync(path()).equals(content)).toBe(true);
    expect(trainer.offsets).toEqual([0, MIB + 7]);
    expect(readdirSync(dirname(path()))).toEqual(['masks.safetensors']);
    await fetch();
    expect(trainer.offsets).toHaveLength(2);
  });

  test('that has another content than the job reported is refused', async () => {
    trainer.files.set(MASKS, fill(SIZE, 2));
    await expect(fetch()).rejects.toMatchObject({
      name: 'TransferFailed',
      message: expect.stringMatching(/masks\.safetensors has digest \w+ on .*, not \w+/) as string,
    });
  });

  test('that arrives broken is dropped', async () => {
    const promised = artifactOf(MASKS, content);
    trainer.files.set(MASKS, fill(SIZE, 2));
    const part = join(root, 'part');
    await expect(
      client.download(promised, part, { onBytes: () => undefined }),
    ).rejects.toMatchObject({ code: 'DATA_LOSS' });
    expect(existsSync(part)).toBe(false);
  });

  test('that comes broken again and again is given up', async () => {
    const promised = artifactOf(MASKS, content);
    trainer.folders.set(MASKS, { artifact: promised, files: [] });
    trainer.files.set(MASKS, fill(SIZE, 2));
    await expect(fetch()).rejects.toMatchObject({
      name: 'TransferFailed',
      message: expect.stringMatching(/with digest \w+, not \w+; fetched 3 times$/) as string,
    });
    expect(trainer.offsets).toEqual([0, 0, 0]);
  });

  test('that does not end is cut off at its size', async () => {
    trainer.files.set(MASKS, content);
    const part = join(root, 'part');
    const promised = { ...artifactOf(MASKS, content), size: 10 };
    await expect(
      client.download(promised, part, { onBytes: (bytes) => void (moved += bytes) }),
    ).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/with more than its 10 bytes$/) as string,
    });
    expect(moved).toBe(0);
  });

  test('that is described as another one is refused', async () => {
    trainer.folders.set(MASKS, { artifact: artifactOf(DATA, content), files: [] });
    await expect(fetch(artifactOf(MASKS, content))).rejects.toMatchObject({
      name: 'TransferFailed',
      message: expect.stringContaining(`was asked for ${MASKS} and describes "${DATA}"`) as string,
    });
  });

  test('that the trainer no longer has is named', async () => {
    await expect(fetch()).rejects.toMatchObject({
      name: 'TransferFailed',
      message: `the trainer at unix:${root}/t.sock no longer has ${MASKS}`,
    });
  });

  test.each([
    ['of another trial', MASKS, 't2'],
    ['outside of the root', 'trials/t1/../../../x.safetensors', 't1'],
    ['of the orchestrator', 'trials/t1/result.json', 't1'],
    ['of a data set', DATA, 't1'],
    ['the whole trial', 'trials/t1', 't1'],
    ['all checkpoints', 'trials/t1/checkpoints', 't1'],
    ['of a folder beside the trials', 'trials/../x', '..'],
  ])('%s is refused by its name', async (_, name, trial) => {
    await expect(fetch(artifactOf(name, content), trial)).rejects.toMatchObject({
      name: 'TransferFailed',
      message: expect.stringContaining(`which is no file of trial ${trial}`) as string,
    });
    expect(existsSync(join(root, 'trials'))).toBe(false);
  });

  test('a folder appears whole, and holds no file from elsewhere', async () => {
    const name = 'trials/t1/adapter';
    const files = ['adapter_config.json', 'adapter_model.safetensors'].map((each) => {
      trainer.files.set(`${name}/${each}`, Buffer.from(each));
      return artifactOf(`${name}/${each}`, Buffer.from(each));
    });
    const digest = digestFolder(
      files.map((file) => [file.name.slice(name.length + 1), file.digest]),
    );
    const artifact = { name, digest, size: files[0]!.size + files[1]!.size };
    trainer.folders.set(name, { artifact, files: [files[0]!, artifactOf(MASKS, content)] });
    await expect(fetch(artifact)).rejects.toThrow('as a file of trials/t1/adapter');
    for (const others of [[], [files[0]!], [files[0]!, files[1]!, files[1]!]]) {
      trainer.folders.set(name, { artifact, files: others });
      await expect(fetch(artifact)).rejects.toMatchObject({ name: 'TransferFailed' });
    }
    trainer.folders.set(name, { artifact, files });
    trainer.faults.push(
      { after: 0, code: status.UNAVAILABLE },
      { after: 3, code: status.UNAVAILABLE },
    );
    for (let broken = 0; broken < 2; broken++)
      await expect(fetch(artifact)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(existsSync(join(root, name))).toBe(false);
    await fetch(artifact);
    expect(readFileSync(join(root, name, 'adapter_config.json'), 'utf8')).toBe(
      'adapter_config.json',
    );
    expect(readdirSync(join(root, 'trials/t1'))).toEqual(['adapter']);
  });
});
