/** Sends files to a trainer's own artifact root: what it lacks, each once, by digest. */
import type { FileDigests } from '../../common/file-digests';
import type { MissingArtifact } from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { ArtifactClient, Moving } from './artifacts';
import { TrainerError } from './errors';
import type { JobFile } from './job-files';
import { TransferFailed } from './transfer-failed';
import { TransferRate } from './transfer-rate';

/** What arrives broken so often is broken for good: a disk or memory at one of the ends. */
const MOST_SENT = 3;

export interface SendSettings extends Moving {
  digests: FileDigests;
  /** Told what is being sent, for people. */
  say: (note: string) => void;
}

/**
 * Sends those of the files that the trainer lacks. Called again after an error, it goes on where it
 * was.
 *
 * @throws TrainerError; TransferFailed if a file arrives broken again and again
 */
export async function sendFiles(
  client: ArtifactClient,
  files: readonly JobFile[],
  settings: SendSettings,
): Promise<void> {
  const sources = new Map<string, JobFile>();
  const artifacts = [];
  for (const file of files) {
    settings.signal?.throwIfAborted();
    const found = await settings.digests.ofPath(file.path);
    // Somebody has just replaced or removed it: the trainer says so if it is needed.
    if (found === undefined) continue;
    sources.set(file.name, file);
    artifacts.push({ name: file.name, ...found });
  }
  const missing = await client.findMissing(artifacts);
  const whatOf = ({ artifact }: MissingArtifact): string => sources.get(artifact!.name)!.what;
  for (const what of new Set(missing.map(whatOf))) {
    const group = missing.filter((each) => whatOf(each) === what);
    const total = group.reduce((sum, { artifact, offset }) => sum + artifact!.size - offset, 0);
    const rate = new TransferRate(total);
    const moving: Moving = {
      signal: settings.signal,
      onBytes: (bytes) => {
        settings.onBytes(bytes);
        settings.say(`sending ${what} ${rate.add(bytes)}`);
      },
    };
    for (const each of group) await send(client, sources.get(each.artifact!.name)!, each, moving);
  }
}

async function send(
  client: ArtifactClient,
  { path }: JobFile,
  first: MissingArtifact,
  moving: Moving,
): Promise<void> {
  let missing: MissingArtifact | undefined = first;
  for (let sent = 1; missing; sent++) {
    try {
      return await client.upload(path, missing, moving);
    } catch (error) {
      if (!(error instanceof TrainerError && error.code === 'DATA_LOSS')) throw error;
      if (sent === MOST_SENT) throw new TransferFailed(`${error.message}; sent ${sent} times`);
      [missing] = await client.findMissing([missing.artifact!]);
    }
  }
}
