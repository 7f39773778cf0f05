/**
 * Fetches files of trials from a trainer's own artifact root into this one. Each has its name only
 * once it is whole, on disk, and has its digest. What has come of one is kept beside it under a
 * hidden name that belongs to name and digest, so that a later call goes on there.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { findTrial, isFileName, isFolderName } from '../../common/artifact-names';
import { moveDurably, syncFolder } from '../../common/durable-files';
import { digestFolder, type FileDigests } from '../../common/file-digests';
import { nameBeside } from '../../common/temporary-names';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { ArtifactClient, Moving } from './artifacts';
import { listFolder } from './job-files';
import { TrainerError } from './errors';
import { MOST_MOVED, TransferFailed } from './transfer-failed';
import { TransferRate } from './transfer-rate';

const PART = '.part.';
/** Of the folders that artifacts.proto names, those that are replaced as one. */
const WHOLE_FOLDER =
  /^trials\/[^/]+\/(?:(?:rungs\/step-[0-9]+\/)?adapter|checkpoints\/step-[0-9]+)$/;

export interface FetchSettings extends Moving {
  digests: FileDigests;
  /** Told what is being fetched, for people. */
  say: (note: string) => void;
}

/**
 * Fetches a file or folder that a job has reported of one of its trials, unless the root has it.
 *
 * @throws TrainerError; TransferFailed if the trainer has something else under the name, or names
 *   what is no file of the trial
 */
export async function fetchArtifact(
  client: ArtifactClient,
  root: string,
  trial: string,
  { name, digest }: Pick<Artifact, 'name' | 'digest'>,
  settings: FetchSettings,
): Promise<void> {
  const isFile = isFileName(name);
  const isFolder = isFolderName(name) && WHOLE_FOLDER.test(name);
  if (findTrial(name) !== trial || !(isFile || isFolder))
    throw new TransferFailed(
      `the trainer at ${client.address} names ${shorten(name)}, ` +
        `which is no file of trial ${trial}`,
    );
  if ((await digestHere(root, name, settings.digests)) === digest) return;
  const described = await describe(client, name);
  if (described === undefined)
    throw new TransferFailed(`the trainer at ${client.address} no longer has ${name}`);
  const { artifact: found, files } = described;
  if (found.digest !== digest)
    throw new TransferFailed(
      `${name} has digest ${found.digest} on the trainer at ${client.address}, not ${digest}, ` +
        'which its job reported',
    );
  const rate = new TransferRate(found.size);
  const moving: Moving = {
    signal: settings.signal,
    onBytes: (bytes) => {
      settings.onBytes(bytes);
      settings.say(`fetching ${name.split('/').slice(2).join('/')} ${rate.add(bytes)}`);
    },
  };
  const path = join(root, name);
  if (isFile) {
    const part = partOf(root, found);
    await download(client, found, part, moving);
    return moveDurably(part, path);
  }
  await fetchFolder(client, root, { name, digest, files }, moving);
}

/** A file that a job has not reported, or nothing if the trainer has none. */
export async function fetchIfThere(
  client: ArtifactClient,
  root: string,
  trial: string,
  name: string,
  settings: FetchSettings,
): Promise<void> {
  const described = await describe(client, name);
  if (described) await fetchArtifact(client, root, trial, described.artifact, settings);
}

/** What the trainer has under a name; undefined if it has nothing there. */
async function describe(
  client: ArtifactClient,
  name: string,
): Promise<{ artifact: Artifact; files: Artifact[] } | undefined> {
  const [described] = await client.describe([name]);
  if (described === undefined) return undefined;
  const { artifact, files } = described;
  if (artifact?.name !== name)
    throw new TransferFailed(
      `the trainer at ${client.address} was asked for ${name} and describes ` +
        (artifact === undefined ? 'nothing' : shorten(artifact.name)),
    );
  return { artifact, files };
}

/** Receives a file into `part`, again if it comes broken. */
async function download(
  client: ArtifactClient,
  file: Artifact,
  part: string,
  moving: Moving,
): Promise<void> {
  for (let fetched = 1; ; fetched++) {
    try {
      return await client.download(file, part, moving);
    } catch (error) {
      if (!(error instanceof TrainerError && error.code === 'DATA_LOSS')) throw error;
      if (fetched === MOST_MOVED)
        throw new TransferFailed(`${error.message}; fetched ${fetched} times`);
    }
  }
}

/** Removes what has come of files that nobody fetches any more. */
export async function removeParts(root: string, trial: string): Promise<void> {
  const folder = join(root, 'trials', trial);
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(PART)) await rm(join(folder, name), { force: true });
}

async function fetchFolder(
  client: ArtifactClient,
  root: string,
  { name, digest, files }: { name: string; digest: string; files: Artifact[] },
  moving: Moving,
): Promise<void> {
  const path = join(root, name);
  const odd = files.find((file) => !isFileName(file.name) || dirname(file.name) !== name);
  if (odd)
    throw new TransferFailed(
      `the trainer at ${client.address} names ${shorten(odd.name)} as a file of ${name}`,
    );
  const names = files.map((file) => basename(file.name));
  const found = digestFolder(files.map((file, i) => [names[i]!, file.digest]));
  if (found !== digest || files.length === 0 || new Set(names).size < names.length)
    throw new TransferFailed(
      `the files of ${name} on the trainer at ${client.address} come to ` +
        `digest ${found}, not ${digest}, which its job reported`,
    );
  for (const file of files) await download(client, file, partOf(root, file), moving);
  const making = nameBeside(path);
  makeFolder(making);
  try {
    // The names are those that artifacts.proto lists, directly in the folder.
    for (const file of files) await rename(partOf(root, file), join(making, basename(file.name)));
    await syncFolder(making);
    await removeFolder(path);
    await rename(making, path);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Removes a folder: it loses its name first, so that half of it is never found. */
export async function removeFolder(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const leaving = nameBeside(path);
  await rename(path, leaving);
  await rm(leaving, { recursive: true });
}

/** The digest of a file or folder in the root; undefined if there is none. */
export async function digestHere(
  root: string,
  name: string,
  digests: FileDigests,
): Promise<string | undefined> {
  if (isFileName(name)) return (await digests.ofPath(join(root, name)))?.digest;
  const files: [string, string][] = [];
  for (const { name: each, path } of await listFolder(root, name, '')) {
    const found = await digests.ofPath(path);
    if (found) files.push([basename(each), found.digest]);
  }
  return files.length === 0 ? undefined : digestFolder(files);
}

/** A trainer's word, for people. */
const shorten = (name: string): string => JSON.stringify(name.slice(0, 200));

function partOf(root: string, { name, digest }: Artifact): string {
  const mark = createHash('sha256').update(`${name}\n${digest}`).digest('hex').slice(0, 32);
  return join(root, 'trials', findTrial(name)!, `${PART}${mark}`);
}
