/** Files that are moved to a trainer while something goes wrong, or works on the same trial. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobState, type Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { movesFiles } from '../support/abilities';
import {
  anyTrial,
  artifactOnDisk,
  checkpointAt,
  events,
  job,
  PRUNE,
  refusal,
  run,
  submit,
  train,
} from '../support/jobs';
import { SmallDisk, whyNoSmallDisk } from '../support/small-disk';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { artifactOf, chunk, fill, header, MIB, Transfers, uploadOf } from '../support/transfers';
import { until } from '../support/until';

const NAME = `datasets/${'a'.repeat(32)}/train.safetensors`;
const testMoves = movesFiles() ? test : test.skip;

const offsetOf = async (transfers: Transfers, artifact: Artifact): Promise<number | undefined> =>
  (await transfers.findMissing([artifact]))[0]?.offset;

/** Uploads a file's first bytes, and leaves the upload open. */
async function uploadPart(
  transfers: Transfers,
  artifact: Artifact,
  part: Uint8Array,
): Promise<ReturnType<Transfers['openUpload']>> {
  const open = transfers.openUpload();
  open.call.write(header(artifact));
  for (let at = 0; at < part.length; at += MIB) open.call.write(chunk(part.subarray(at, at + MIB)));
  await until(async () => (await offsetOf(transfers, artifact)) === part.length);
  return open;
}

describeTrainer('an upload to a trainer that ends', () => {
  const place = new TrainerPlace();
  const content = fill(3 * MIB + 1);
  const artifact = artifactOf(NAME, content);
  let transfers: Transfers;
  beforeAll(() => {
    transfers = new Transfers(place.address);
  });
  afterAll(async () => {
    transfers.close();
    await place.remove();
  });

  testMoves('continues after a kill, and is forgotten after a day', async () => {
    const killed = await place.start();
    const first = await uploadPart(transfers, artifact, content.subarray(0, 2 * MIB));
    await killed.kill();
    await refusal(first.answer);

    const stopped = await place.start();
    expect(await offsetOf(transfers, artifact)).toBe(2 * MIB);
    const second = transfers.openUpload();
    second.call.write(header(artifact, 2 * MIB));
    second.call.write(chunk(content.subarray(2 * MIB, 3 * MIB)));
    await until(async () => (await offsetOf(transfers, artifact)) === 3 * MIB);
    expect(await stopped.stop()).toBe(0);
    expect((await refusal(second.answer)).code).toMatch(/UNAVAILABLE|CANCELLED/);

    await place.start();
    expect(await transfers.upload(uploadOf(artifact, content, 3 * MIB))).toEqual(artifact);
    expect(readFileSync(join(place.root, NAME)).equals(content)).toBe(true);
    expect(files(place.root)).toEqual([join(place.root, '.root-id'), join(place.root, NAME)]);

    const forgotten = artifactOf(NAME, content.subarray(1));
    const third = await uploadPart(transfers, forgotten, content.subarray(1, 10));
    third.call.cancel();
    await refusal(third.answer);
    const [left] = files(place.root).filter((file) => statSync(file).size === 9);
    const yesterday = Date.now() / 1000 - 25 * 3600;
    utimesSync(left!, yesterday, yesterday);
    const other = artifactOf(`${NAME}.json`, fill(1));
    await transfers.upload(uploadOf(other, fill(1)));
    expect(await offsetOf(transfers, forgotten)).toBe(0);
  });
});

const why = whyNoSmallDisk();
describeTrainer(`an upload to a full disk${why ? ` (skipped: ${why})` : ''}`, () => {
  const place = new TrainerPlace();
  const testOnDisk = why ? test.skip : testMoves;
  let disk: SmallDisk;
  let transfers: Transfers;
  beforeAll(async () => {
    if (why) return;
    mkdirSync(place.root);
    disk = new SmallDisk(place.root, 16);
    transfers = new Transfers(place.address);
    await place.start();
  });
  afterAll(async () => {
    if (why) return;
    transfers.close();
    disk.unmount();
    await place.remove();
  });

  testOnDisk('is refused before it takes the room, and keeps what it had', async () => {
    const large = fill(20 * MIB);
    const tooLarge = await refusal(transfers.upload(uploadOf(artifactOf(NAME, large), large)));
    expect(tooLarge).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(tooLarge.retryAfterMs).toBeGreaterThan(0);
    expect(tooLarge.message).toMatch(/no room on the disk of .* needs 21 MB/);

    const content = fill(8 * MIB);
    const artifact = artifactOf(NAME, content);
    const { call, answer } = await uploadPart(transfers, artifact, content.subarray(0, MIB));
    disk.fill();
    for (let at = MIB; at < content.length; at += MIB)
      call.write(chunk(content.subarray(at, at + MIB)));
    const full = await refusal(answer);
    expect(full).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(full.retryAfterMs).toBeGreaterThan(0);
    const kept = (await offsetOf(transfers, artifact))!;
    expect(kept).toBeGreaterThanOrEqual(MIB);

    disk.free();
    await transfers.upload(uploadOf(artifact, content, kept));
    expect(readFileSync(join(place.root, NAME)).equals(content)).toBe(true);
  });
});

describeTrainer('a trainer that shares no disk with its client', () => {
  const place = new TrainerPlace();
  const own = mkdtempSync(join(tmpdir(), 'sa-orch-own-'));
  const backbone = `backbones/${'b'.repeat(64)}`;
  let transfers: Transfers;
  let dataset: Dataset;
  beforeAll(() => {
    transfers = new Transfers(place.address);
    dataset = writeTinyDataset(own);
  });
  afterAll(async () => {
    transfers.close();
    rmSync(own, { recursive: true });
    await place.remove();
  });

  async function send(folder: string, name: string): Promise<void> {
    for (const file of readdirSync(folder)) {
      if (!/^(dataset\.json|config\.json|.*\.safetensors)$/.test(file)) continue;
      const content = readFileSync(join(folder, file));
      const artifact = artifactOf(`${name}/${file}`, content);
      await transfers.upload(uploadOf(artifact, content));
    }
  }

  testMoves('works on what it was sent, and gives back what it made', async () => {
    const { client } = await place.start();
    await send(join(own, dataset.name), dataset.name);
    await send(process.env.SA_ORCH_TEST_BACKBONE!, backbone);
    const trial = anyTrial('afar', { train: { totalSteps: 1_000_000 } });
    const pruned = (await run(client, job(dataset, [trial], PRUNE, backbone))).get('afar')!;
    expect(pruned.failure).toBeUndefined();
    const [masks] = pruned.artifacts;
    const back = await transfers.download({ name: masks!.name, digest: masks!.digest });
    expect(back.artifact).toEqual(masks);

    const id = await submit(client, job(dataset, [trial], train(), backbone));
    await events(client, id, checkpointAt(10));
    const taken = await refusal(
      transfers.upload(uploadOf({ ...masks!, size: 0, digest: '0'.repeat(64) }, fill(0))),
    );
    expect(taken).toMatchObject({ code: 'ABORTED' });
    expect(taken.message).toMatch(/a job works on trial afar \(process \d+\)/);
    await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT);
    await events(client, id);
    expect((await client.getJob(id)).state).toBe(JobState.JOB_STATE_INTERRUPTED);

    const [trialFiles] = await transfers.describe(['trials/afar']);
    const steps = trialFiles!.files.flatMap(({ name }) => /step-\d+/.exec(name)?.[0] ?? []);
    const newest = `trials/afar/checkpoints/${steps.at(-1)}`;
    const [checkpoint] = await transfers.describe([newest]);
    expect(checkpoint!.artifact).toEqual(artifactOnDisk(place.root, newest));
    for (const file of checkpoint!.files) {
      const { content } = await transfers.download({ name: file.name, digest: file.digest });
      expect(artifactOf(file.name, content)).toEqual(file);
      rmSync(join(place.root, file.name));
      await transfers.upload(uploadOf(file, content));
    }
    expect(await transfers.describe([newest])).toEqual([checkpoint]);
    expect(existsSync(join(place.root, 'trials/afar/writer.lock'))).toBe(false);
  });
});

/** All files under a folder, sorted. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
