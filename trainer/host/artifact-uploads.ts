/**
 * Files that are being uploaded, in `.uploads/` under the artifact root: `.part.<key>` has what has
 * arrived of a file, `<key>.lock` is there while an upload runs. The key is a digest of the file's
 * name and digest, so what was interrupted is found again by the next process, too.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { findTrial } from '../../common/artifact-names';
import { describeFullDisk, freeBytes } from '../../common/disk-space';
import { moveDurably } from '../../common/durable-files';
import { readBlocks } from '../../common/file-digests';
import { clearLock, lockHolder, nameHolder, tryLock, type LockFile } from '../../common/lock-file';
import { isElsewhere, type ProcessIdentity } from '../../common/process-identity';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { locate, refuseField } from './artifact-names';
import { contentDigest } from './artifacts';
import { Refusal, refuseFullDisk } from './refusals';

/** What nobody continued for so long is removed. */
const KEPT_MS = 24 * 3600 * 1000;
/** An upload to a trainer on another host that was silent for so long is taken for dead. */
const SILENCE_MS = 600_000;
const PART = '.part.';

export const NAME_FIELD = 'header.artifact.name';

/** All uploads to an artifact root. */
export class Uploads {
  private readonly folder: string;

  constructor(private readonly root: string) {
    this.folder = join(root, '.uploads');
    this.removeOld();
  }

  /** How many bytes of a file have arrived. */
  transferred(artifact: Artifact): number {
    const found = statSync(this.part(artifact), { throwIfNoEntry: false });
    return Math.min(found?.size ?? 0, artifact.size);
  }

  /**
   * Continues a file at an offset. Throws a Refusal: ABORTED if another upload of the file runs or
   * a job writes its trial, OUT_OF_RANGE if less than `offset` has arrived, RESOURCE_EXHAUSTED if
   * the disk has no room for the rest.
   */
  async begin(artifact: Artifact, offset: number): Promise<Upload> {
    const { name, size } = artifact;
    const path = locate(this.root, NAME_FIELD, name);
    requireNoWriter(this.root, name);
    this.removeOld();
    const part = this.part(artifact);
    const lock = take(part, name);
    try {
      const here = this.transferred(artifact);
      if (offset > here) {
        const message =
          `header.offset: ${offset} is past the ${here} bytes of ${name} that are here; ` +
          'continue there';
        throw new Refusal(status.OUT_OF_RANGE, message);
      }
      if (size - here > freeBytes(this.root)) {
        const megabytes = Math.ceil((size - here) / 1e6).toLocaleString('en-US');
        const needs = `${name} needs ${megabytes} MB`;
        throw refuseFullDisk(`${describeFullDisk(this.root)}, and ${needs}`);
      }
      return await Upload.open({ root: this.root, artifact, path, part, lock }, offset);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Removes what was interrupted and not continued for a day. */
  private removeOld(): void {
    if (!existsSync(this.folder)) return;
    for (const name of readdirSync(this.folder)) {
      if (!name.startsWith(PART)) continue;
      const path = join(this.folder, name);
      const found = statSync(path, { throwIfNoEntry: false });
      if (found && Date.now() - found.mtimeMs > KEPT_MS) rmSync(path, { force: true });
    }
  }

  private part({ name, digest }: Artifact): string {
    return join(this.folder, `${PART}${contentDigest(`${name}\n${digest}`).slice(0, 32)}`);
  }
}

interface Place {
  root: string;
  artifact: Artifact;
  path: string;
  part: string;
  lock: LockFile;
}

/** A file that arrives. It holds the file's lock until it is closed. */
export class Upload {
  private readonly hash = createHash('sha256');

  private constructor(
    private readonly place: Place,
    private readonly file: FileHandle,
    private size: number,
  ) {}

  /** Keeps the first `offset` bytes that have arrived. */
  static async open(place: Place, offset: number): Promise<Upload> {
    // Creates it without emptying it.
    await (await open(place.part, 'a')).close();
    const file = await open(place.part, 'r+');
    const upload = new Upload(place, file, offset);
    try {
      await file.truncate(offset);
      for await (const block of readBlocks(file, offset)) upload.hash.update(block);
    } catch (error) {
      await file.close();
      throw error;
    }
    return upload;
  }

  /**
   * Adds the next bytes. What the disk has room for is kept if it becomes full. Throws a Refusal
   * (INVALID_ARGUMENT) if they are more than the file has.
   */
  async write(chunk: Uint8Array): Promise<void> {
    const { size } = this.place.artifact;
    if (this.size + chunk.length > size)
      throw refuseField('chunk', `more than the ${size} bytes of header.artifact.size came`);
    for (let rest = chunk; rest.length > 0;) {
      const { bytesWritten } = await this.file.write(rest, 0, rest.length, this.size);
      this.hash.update(rest.subarray(0, bytesWritten));
      this.size += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }

  /**
   * Gives the file its name. Throws a Refusal: INVALID_ARGUMENT if not all of it has arrived,
   * DATA_LOSS if it does not have its digest, ABORTED if a job writes its trial.
   */
  async finish(): Promise<void> {
    const { root, artifact, part } = this.place;
    const { name, size, digest } = artifact;
    if (this.size < size)
      throw refuseField(
        'chunk',
        `only ${this.size} of the ${size} bytes of header.artifact.size came`,
      );
    const found = this.hash.digest('hex');
    if (found !== digest) {
      await rm(part);
      const message =
        `${name}: what has arrived has digest ${found}, not ${digest}; it has been removed, ` +
        'upload it from 0';
      throw new Refusal(status.DATA_LOSS, message);
    }
    const lock = takeTrial(root, name);
    try {
      // Somebody may have made a link meanwhile.
      locate(root, NAME_FIELD, name);
      await this.giveName();
    } finally {
      lock?.release();
    }
  }

  private async giveName(): Promise<void> {
    try {
      await moveDurably(this.place.part, this.place.path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EISDIR' && code !== 'ENOTDIR' && code !== 'EEXIST') throw error;
      throw refuseField(NAME_FIELD, `cannot be a file on the trainer's disk: ${message}`);
    }
  }

  /** Ends the upload. What has arrived of an unfinished file stays. */
  async close(): Promise<void> {
    await this.file.close();
    this.place.lock.release();
  }
}

function take(part: string, name: string): LockFile {
  const path = join(dirname(part), `${basename(part).slice(PART.length)}.lock`);
  for (;;) {
    const lock = tryLock(path);
    if ('release' in lock) return lock;
    const { holder } = lock;
    const isSilent = (): boolean =>
      Date.now() - (statSync(part, { throwIfNoEntry: false })?.mtimeMs ?? 0) > SILENCE_MS;
    if (isElsewhere(holder) && isSilent()) {
      clearLock(path, isSilent);
      continue;
    }
    const message =
      `another upload of ${name} is running (${nameHolder(holder)}); ` +
      'ask what is missing again later';
    throw new Refusal(status.ABORTED, message);
  }
}

const writerLock = (root: string, trial: string): string =>
  join(root, 'trials', trial, 'writer.lock');

function requireNoWriter(root: string, name: string): void {
  const trial = findTrial(name);
  const holder = trial === undefined ? undefined : lockHolder(writerLock(root, trial));
  if (holder) throw refuseTaken(trial!, holder);
}

/** Takes the lock of the trial that a file belongs to, if any. */
function takeTrial(root: string, name: string): LockFile | undefined {
  const trial = findTrial(name);
  if (trial === undefined) return undefined;
  const lock = tryLock(writerLock(root, trial));
  if ('release' in lock) return lock;
  throw refuseTaken(trial, lock.holder);
}

const refuseTaken = (trial: string, holder: ProcessIdentity): Refusal =>
  new Refusal(
    status.ABORTED,
    `a job works on trial ${trial} (${nameHolder(holder)}); upload to it later`,
  );
