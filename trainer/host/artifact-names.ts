/** Checks the names and digests of files that ArtifactService is to move. */
import { status } from '@grpc/grpc-js';
import { isFileName, isFolderName } from '../../common/artifact-names';
import type { DownloadRequest } from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { artifactPath } from './artifacts';
import { EngineFailure } from './engine';
import { refuseFields, type Refusal } from './refusals';
import { quoted, Violations } from './violations';

const SHA256 = /^[0-9a-f]{64}$/;
const LONGEST_SHOWN = 200;

/** A call takes at most so many names. */
export const MOST_NAMES = 1000;

/** Adds what is wrong with a file's name and digest. */
export function checkFile(found: Violations, field: string, { name, digest }: Artifact): void {
  if (!isFileName(name)) found.add(`${field}.name`, describeWrong(name));
  checkDigest(found, `${field}.digest`, digest);
}

/** Adds what is wrong with the request of a download. */
export function checkDownload(found: Violations, request: DownloadRequest): void {
  const { name, offset, digest } = request;
  if (!isFileName(name)) found.add('name', describeWrong(name));
  if (digest !== '') checkDigest(found, 'digest', digest);
  else if (offset > 0)
    found.add('digest', 'is empty; an offset above 0 needs the content that it counts in');
}

/** Adds what is wrong with the name of a file or folder. */
export function checkFileOrFolder(found: Violations, field: string, name: string): void {
  if (!isFileName(name) && !isFolderName(name)) found.add(field, describeWrong(name));
}

/** Throws a Refusal (INVALID_ARGUMENT) if `check` finds something. */
export function requireValid(check: (found: Violations) => void): void {
  const found = new Violations();
  check(found);
  if (found.all.length > 0) throw refuseFields(status.INVALID_ARGUMENT, found.all);
}

export const refuseField = (field: string, description: string): Refusal =>
  refuseFields(status.INVALID_ARGUMENT, [{ field, description }]);

/**
 * The path of a checked name. Throws a Refusal (INVALID_ARGUMENT) if it leaves the root through a
 * link.
 */
export function locate(root: string, field: string, name: string): string {
  try {
    return artifactPath(root, name);
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error;
    throw refuseField(field, error.message);
  }
}

function checkDigest(found: Violations, field: string, digest: string): void {
  if (SHA256.test(digest)) return;
  found.add(field, `${quoted(digest.slice(0, 70))} is not a SHA-256 in 64 hexadecimal digits`);
}

function describeWrong(name: string): string {
  const shown = name.length <= LONGEST_SHOWN ? name : `${name.slice(0, LONGEST_SHOWN)}…`;
  return `${quoted(shown)} is not a name that artifacts.proto lists`;
}
