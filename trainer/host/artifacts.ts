/** Files under the artifact root: safe names, digests as in event.proto, and tensors. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { digestFolder } from '../../common/file-digests';
import { decodeMetadata, decodeSafetensors, type Tensor } from '../../common/safetensors';
import { FailureReason, type Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { EngineFailure } from './engine';

/** The error for a missing or broken artifact, backbone or data set; the message names the file. */
export function badArtifact(message: string): EngineFailure {
  return new EngineFailure(FailureReason.FAILURE_REASON_BAD_ARTIFACT, message);
}

/**
 * The path of an artifact. Throws EngineFailure (BAD_ARTIFACT) if its name is absolute, contains
 * `..` or leaves the root by a link.
 */
export function artifactPath(root: string, name: string): string {
  const parts = name.split('/');
  if (
    name.includes('\\') ||
    name.includes('\0') ||
    parts.some((part) => ['', '.', '..'].includes(part))
  ) {
    throw badArtifact(
      `artifact name ${JSON.stringify(name)} is not a relative name with '/' between its parts`,
    );
  }
  const path = join(root, ...parts);
  // Of a path that does not exist yet, only the existing part can contain links.
  let there = path;
  while (!existsSync(there)) there = join(there, '..');
  if (!`${realpathSync(there)}${sep}`.startsWith(`${realpathSync(root)}${sep}`)) {
    throw badArtifact(`artifact ${JSON.stringify(name)} leaves the artifact root ${root}`);
  }
  return path;
}

/** Name, digest and size of an existing file or folder. */
export function describeArtifact(root: string, name: string): Artifact {
  const path = artifactPath(root, name);
  if (!statSync(path).isDirectory())
    return { name, digest: fileDigest(path), size: statSync(path).size };
  const files = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const digest = digestFolder(
    files.map((file) => [relative(path, file).split(sep).join('/'), fileDigest(file)] as const),
  );
  const size = files.reduce((total, file) => total + statSync(file).size, 0);
  return { name, digest, size };
}

export const contentDigest = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

const fileDigest = (path: string): string => contentDigest(readFileSync(path));

/**
 * All tensors of a safetensors file. Throws EngineFailure (BAD_ARTIFACT) if it is missing or
 * broken.
 */
export function readTensors(path: string): Map<string, Tensor> {
  if (!existsSync(path)) throw badArtifact(`${path} is missing`);
  try {
    return decodeSafetensors(readFileSync(path));
  } catch (error) {
    throw badArtifact(`${path} cannot be read as safetensors: ${(error as Error).message}`);
  }
}

/**
 * A safetensors file's tensors with these names and shapes, in this order. Throws EngineFailure
 * (BAD_ARTIFACT) if one is missing.
 */
export function readTensorsOf(
  path: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): Map<string, Tensor> {
  const tensors = readTensors(path);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const tensor = tensors.get(name);
      if (!tensor) throw badArtifact(`${path}: tensor ${name} is missing`);
      if (tensor.shape.join() !== shape.join())
        throw badArtifact(
          `${path}: tensor ${name} has shape [${tensor.shape.join(', ')}], ` +
            `not [${shape.join(', ')}]`,
        );
      return [name, tensor];
    }),
  );
}

/**
 * Throws EngineFailure (BAD_ARTIFACT) if a value of a tensor is NaN or infinite: every trial would
 * fail on it, each with another reason. where: what has the tensor, for the message.
 */
export function requireFinite(where: string, name: string, values: Float32Array): void {
  let count = 0;
  for (const value of values) if (!Number.isFinite(value)) count++;
  if (count === 0) return;
  const found = `${count} of ${values.length} values of its tensor ${name}`;
  throw badArtifact(`${where}: ${found} are NaN or infinite`);
}

/**
 * The metadata of a safetensors file; empty if it has none, or if the file is missing or broken.
 */
export function readMetadata(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  try {
    const file = readFileSync(path);
    // A truncated file still has its header.
    decodeSafetensors(file);
    return decodeMetadata(file);
  } catch {
    return {};
  }
}
