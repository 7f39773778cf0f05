/** Files that are moved to and from a trainer: what comes of each call. */
import { status } from '@grpc/grpc-js';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { UploadRequest } from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import { movesFiles } from '../support/abilities';
import { artifactOnDisk, refusal } from '../support/jobs';
import { askHealth, reflectedServices, unary } from '../support/standard-services';
import { describeStartedTrainer } from '../support/started-trainer';
import { artifactOf, chunk, fill, header, MIB, Transfers, uploadOf } from '../support/transfers';
import { residentBytes } from '../support/resident-bytes';
import { HOSTILE, ID, NAMES } from '../support/transfer-names';
import { until } from '../support/until';

const SERVICE = 'sparse_adapter.trainer.v1.ArtifactService';
const NAME = `datasets/${ID}/train.safetensors`;
const DIGEST = 'd'.repeat(64);
const testMoves = movesFiles() ? test : test.skip;

describeStartedTrainer('files that are moved', (here) => {
  let transfers: Transfers;
  beforeAll(() => {
    transfers = new Transfers(here.place.address);
  });
  afterAll(() => transfers.close());

  const pathOf = (name: string): string => join(here.place.root, name);
  const upload = (artifact: Artifact, content: Uint8Array, offset = 0): Promise<Artifact> =>
    transfers.upload(uploadOf(artifact, content, offset));
  const offsetOf = async (artifact: Artifact): Promise<number | undefined> =>
    (await transfers.findMissing([artifact]))[0]?.offset;
  const put = (name: string, content: Uint8Array): Artifact => {
    mkdirSync(dirname(pathOf(name)), { recursive: true });
    writeFileSync(pathOf(name), content);
    return artifactOf(name, content);
  };
  const fields = async (call: Promise<unknown>): Promise<string[]> => {
    const { code, fieldViolations } = await refusal(call);
    expect(code).toBe('INVALID_ARGUMENT');
    return fieldViolations.map(({ field }) => field);
  };

  testMoves('the service is SERVING, and is there by reflection', async () => {
    expect(await askHealth(here.place.address, SERVICE)).toBe(1);
    expect(await reflectedServices(here.place.address)).toContain(SERVICE);
  });

  testMoves.each([0, 1, MIB, MIB + 1, 3 * MIB + 12_345])(
    'a file of %d bytes arrives, is not missing any more, and comes back',
    async (size) => {
      const content = fill(size);
      const artifact = artifactOf(`datasets/${ID}/split-${size}.safetensors`, content);
      expect(await transfers.findMissing([artifact])).toEqual([{ artifact, offset: 0 }]);
      expect(await upload(artifact, content)).toEqual(artifact);
      expect(readFileSync(pathOf(artifact.name)).equals(content)).toBe(true);
      expect(await transfers.findMissing([artifact])).toEqual([]);
      const back = await transfers.download({ name: artifact.name });
      expect(back.artifact).toEqual(artifact);
      expect(back.content.equals(content)).toBe(true);
      expect(back.largest).toBeLessThanOrEqual(MIB);
    },
  );

  testMoves('a file with another digest is missing, and is replaced whole', async () => {
    const old = put(`trials/replaced/masks.safetensors`, fill(100));
    const content = fill(5000);
    const artifact = artifactOf(old.name, content);
    expect(await transfers.findMissing([artifact, old])).toEqual([{ artifact, offset: 0 }]);
    await upload(artifact, content);
    expect(readFileSync(pathOf(old.name)).equals(content)).toBe(true);
  });

  testMoves('nothing is under a file that has the name of a folder', async () => {
    mkdirSync(pathOf('datasets'), { recursive: true });
    writeFileSync(pathOf('datasets/a-file'), '');
    const artifact = artifactOf('datasets/a-file/train.json', fill(1));
    expect(await transfers.findMissing([artifact])).toEqual([{ artifact, offset: 0 }]);
    expect(await transfers.describe(['datasets/a-file', artifact.name])).toEqual([]);
    expect((await refusal(transfers.download({ name: artifact.name }))).code).toBe('NOT_FOUND');
    expect(await fields(upload(artifact, fill(1)))).toEqual(['header.artifact.name']);
  });

  testMoves('a file that is there already is not sent again', async () => {
    const artifact = put(`datasets/${ID}/there.json`, fill(2 * MIB));
    expect(await transfers.upload([header(artifact)])).toEqual(artifact);
  });

  testMoves('an upload whose client goes away continues where it was', async () => {
    const content = fill(3 * MIB + 5);
    const artifact = artifactOf(`datasets/${ID}/resumed.safetensors`, content);
    const { call, answer } = transfers.openUpload();
    call.write(header(artifact));
    call.write(chunk(content.subarray(0, MIB)));
    call.write(chunk(content.subarray(MIB, MIB + 7)));
    await until(async () => (await offsetOf(artifact)) === MIB + 7);

    // Meanwhile nobody else may write it.
    const second = await refusal(upload(artifact, content, MIB));
    expect(second).toMatchObject({ code: 'ABORTED' });
    expect(second.message).toMatch(/another upload of datasets\S+ is running \(process \d+\)/);
    expect(existsSync(pathOf(artifact.name))).toBe(false);

    call.cancel();
    await answer.catch(() => undefined);
    await until(async () => {
      const past = await refusal(upload(artifact, content, MIB + 8));
      if (past.code === 'ABORTED') return false;
      expect(past).toMatchObject({ code: 'OUT_OF_RANGE' });
      expect(past.message).toContain(`${MIB + 8} is past the ${MIB + 7} bytes`);
      return true;
    });
    expect(await offsetOf(artifact)).toBe(MIB + 7);
    await upload(artifact, content, MIB + 7);
    expect(readFileSync(pathOf(artifact.name)).equals(content)).toBe(true);
  });

  testMoves('an upload may begin before what is there', async () => {
    const content = fill(2 * MIB);
    const artifact = artifactOf(`datasets/${ID}/earlier.safetensors`, content);
    const wrong = fill(MIB, 7);
    await refusal(transfers.upload([header(artifact), chunk(wrong)]));
    expect(await offsetOf(artifact)).toBe(MIB);
    await upload(artifact, content, 0);
    expect(await transfers.findMissing([artifact])).toEqual([]);
  });

  testMoves('what does not have its digest is removed', async () => {
    const content = fill(MIB + 1);
    const artifact = artifactOf(`datasets/${ID}/broken.safetensors`, content);
    const broken = Buffer.from(content);
    broken[MIB]! ^= 1;
    const { code, message } = await refusal(upload(artifact, broken));
    expect(code).toBe('DATA_LOSS');
    expect(message).toContain(artifact.digest);
    expect(message).toContain(artifactOf(artifact.name, broken).digest);
    expect(existsSync(pathOf(artifact.name))).toBe(false);
    expect(await offsetOf(artifact)).toBe(0);
    await upload(artifact, content);
  });

  describe('refuses with the path of the field', () => {
    const artifact = artifactOf(`datasets/${ID}/odd.json`, fill(10));
    const body = chunk(fill(10));
    testMoves.each<[string, string, UploadRequest[]]>([
      ['nothing', 'header', []],
      ['no header', 'header', [body]],
      ['an empty message', 'header', [{ payload: undefined }]],
      ['two headers', 'chunk', [header(artifact), header(artifact)]],
      ['too few bytes', 'chunk', [header(artifact), chunk(fill(9))]],
      ['too many bytes', 'chunk', [header(artifact), chunk(fill(11))]],
      ['an offset past the end', 'header.offset', [header(artifact, 11)]],
      [
        'a chunk above 1 MiB',
        'chunk',
        [header({ ...artifact, size: 2 * MIB }), chunk(fill(MIB + 1))],
      ],
      ['no name', 'header.artifact.name', [header({ ...artifact, name: '' })]],
      ['a short digest', 'header.artifact.digest', [header({ ...artifact, digest: 'abc' })]],
      [
        'a digest in capitals',
        'header.artifact.digest',
        [header({ ...artifact, digest: 'A'.repeat(64) })],
      ],
    ])('an upload of %s', async (_, field, messages) => {
      expect(await fields(transfers.upload(messages))).toEqual([field]);
      expect(existsSync(pathOf(artifact.name))).toBe(false);
    });

    testMoves('every hostile name, in every call', async () => {
      const hostile = HOSTILE.map((name) => ({ name, digest: DIGEST, size: 1 }));
      const found: [string, string[]][] = [];
      for (const each of hostile) {
        const { name } = each;
        for (const [field, call] of [
          ['artifacts[0].name', transfers.findMissing([each])],
          ['names[0]', transfers.describe([name])],
          ['header.artifact.name', transfers.upload([header(each), chunk(fill(1))])],
          ['name', transfers.download({ name })],
        ] as const) {
          const got = await fields(call);
          if (got.join() !== field) found.push([name, got]);
        }
      }
      expect(found).toEqual([]);
      expect(
        await transfers.findMissing(NAMES.map((name) => ({ ...hostile[0]!, name }))),
      ).toHaveLength(NAMES.length);
    });

    testMoves('a name whose bytes are no text', async () => {
      const name = Buffer.concat([Buffer.from(`datasets/${ID}/tr`), Buffer.from([0xff, 0xfe])]);
      const request = Buffer.from(new BinaryWriter().uint32(0x0a).bytes(name).finish());
      const answer = unary(here.place.address, `/${SERVICE}/DescribeArtifacts`, request);
      await expect(answer).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    });

    testMoves('a file behind a link that leaves the root', async () => {
      writeFileSync(join(here.place.folder, 'secret.json'), '{}');
      mkdirSync(pathOf('datasets/links'), { recursive: true });
      symlinkSync(join(here.place.folder, 'secret.json'), pathOf('datasets/links/file.json'));
      symlinkSync(here.place.folder, pathOf('datasets/linked'));
      for (const name of ['datasets/links/file.json', 'datasets/linked/secret.json']) {
        const artifact = artifactOf(name, fill(3));
        expect(await fields(transfers.findMissing([artifact]))).toEqual(['artifacts[0].name']);
        expect(await fields(upload(artifact, fill(3)))).toEqual(['header.artifact.name']);
        expect(await fields(transfers.download({ name }))).toEqual(['name']);
        expect(await fields(transfers.describe([name]))).toHaveLength(1);
      }
      expect(readFileSync(join(here.place.folder, 'secret.json'), 'utf8')).toBe('{}');
    });

    testMoves('more than 1,000 names in a call', async () => {
      const artifact = artifactOf(NAME, fill(1));
      expect(await fields(transfers.findMissing(Array<Artifact>(1001).fill(artifact)))).toEqual([
        'artifacts',
      ]);
      expect(await fields(transfers.describe(Array<string>(1001).fill(NAME)))).toEqual(['names']);
    });
  });

  testMoves('a folder is described by its files, as jobs describe it', async () => {
    const folder = 'trials/described/adapter';
    const files = ['adapter_config.json', 'adapter_model.safetensors'].map((name, index) =>
      put(`${folder}/${name}`, fill(100 + index)),
    );
    expect(await transfers.describe([folder, files[0]!.name, 'trials/none', NAME])).toEqual([
      { artifact: artifactOnDisk(here.place.root, folder), files },
      { artifact: files[0], files: [] },
    ]);
    // What does not move is not told.
    put('trials/described/result.json', fill(1));
    put('trials/described/writer.lock', fill(1));
    put('trials/described/.half.safetensors', fill(1));
    const [trial] = await transfers.describe(['trials/described']);
    expect(trial!.files).toEqual(files);
    expect(trial!.artifact!.size).toBe(201);
  });

  testMoves('a download continues with the content that it began with, or not at all', async () => {
    const name = 'trials/downloaded/masks.safetensors';
    const content = fill(2 * MIB + 3);
    const { digest } = put(name, content);
    const rest = await transfers.download({ name, digest, offset: MIB + 1 });
    expect(rest.content.equals(content.subarray(MIB + 1))).toBe(true);
    const nothing = await transfers.download({ name, digest, offset: content.length });
    expect(nothing).toMatchObject({ artifact: { digest }, content: Buffer.alloc(0) });

    expect(await fields(transfers.download({ name, offset: 1 }))).toEqual(['digest']);
    const past = await refusal(transfers.download({ name, digest, offset: content.length + 1 }));
    expect(past.code).toBe('OUT_OF_RANGE');
    expect((await refusal(transfers.download({ name: NAME }))).code).toBe('NOT_FOUND');

    const other = fill(content.length, 9);
    await upload(artifactOf(name, other), other);
    const replaced = await refusal(transfers.download({ name, digest, offset: MIB }));
    expect(replaced.code).toBe('ABORTED');
    expect(replaced.message).toContain(artifactOf(name, other).digest);
  });

  const testMemory = process.platform === 'linux' ? testMoves : test.skip;
  testMemory('a large file takes little memory', async () => {
    const content = fill(200 * MIB);
    const artifact = artifactOf(`datasets/${ID}/huge.safetensors`, content);
    const before = residentBytes(here.pid);
    let most = before;
    const look = setInterval(() => (most = Math.max(most, residentBytes(here.pid))), 20);
    await upload(artifact, content);
    expect(await transfers.drain({ name: artifact.name })).toBe(content.length);
    clearInterval(look);
    expect(most - before).toBeLessThan(content.length / 2);
  });

  testMoves('a client that leaves in mid-download disturbs nobody', async () => {
    const artifact = put(`datasets/${ID}/large.safetensors`, fill(40 * MIB));
    const { name } = artifact;
    const part = await transfers.download({ name }, (bytes) => bytes >= MIB);
    expect(part.content.length).toBeLessThan(artifact.size);
    expect((await transfers.download({ name })).artifact).toEqual(artifact);
  });
});
