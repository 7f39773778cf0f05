/** Sends files to a trainer's own artifact root: what it lacks, each once, by digest. */
import type { FileDigests } from '../../common/file-digests';
import type { MissingArtifact } from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { ArtifactClient, Moving } from './artifacts';
import { TrainerError } from './errors';
import type { JobFile } from './job-files';
import { MOST_MOVED, TransferFailed } from './transfer-failed';
import { TransferRate } from './transfer-rate';

/** How a trainer says that what came is not what was announced. */
const BROKEN = ['DATA_LOSS', 'INVALID_ARGUMENT'];

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
    for (const each of group)
      await send(client, sources.get(each.artifact!.name)!, each, { ...settings, ...moving });
  }
}

async function send(
  client: ArtifactClient,
  { name, path }: JobFile,
  first: MissingArtifact,
  settings: SendSettings,
): Promise<void> {
  let missing: MissingArtifact | undefined = first;
  for (let sent = 1; missing; sent++) {
    try {
      return await client.upload(path, missing, settings);
    } catch (error) {
      // The second is what a trainer says of a file that has become shorter meanwhile.
      if (!(error instanceof TrainerError && BROKEN.includes(error.code))) throw error;
      if (sent === MOST_MOVED) throw new TransferFailed(`${error.message}; sent ${sent} times`);
      const found = await settings.digests.ofPath(path);
      if (found === undefined) return;
      [missing] = await client.findMissing([{ name, ...found }]);
    }
  }
}
