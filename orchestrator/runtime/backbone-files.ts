/**
 * Describes a Hugging Face directory: which files matter, how large the model is, and its digest.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { findOddity, readIfThere } from '../../common/files';
import { elements } from '../../common/safetensors';
import { UserError } from '../base/errors';
import type { PlannedBackbone } from '../sweep/types';
import { backboneSizes } from './backbone-config';
import { cacheDirectory } from './paths';
import { recall, remember } from './remember';

const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
];
const SHARD = /^model(-\d+-of-\d+)?\.safetensors$/;

/**
 * Whether results depend on a file with this name: configuration, weights and tokenizer, but not
 * readmes or other frameworks' weights.
 */
export function isBackboneFile(name: string): boolean {
  return (
    name === 'config.json' ||
    name === 'model.safetensors.index.json' ||
    SHARD.test(name) ||
    TOKENIZER_FILES.includes(name)
  );
}

/** Reads a directory. @throws UserError (exit 2) naming the file that is missing or wrong */
export async function describeBackbone(name: string, path: string): Promise<PlannedBackbone> {
  const files = readdirSync(path).filter(isBackboneFile).sort();
  for (const file of files) {
    const oddity = findOddity(join(path, file));
    if (oddity !== undefined) throw new UserError(`${join(path, file)} ${oddity}`, 2);
  }
  const sizes = readConfig(path);
  const shards = files.filter((file) => SHARD.test(file));
  if (shards.length === 0) {
    throw new UserError(
      `${path} has no model.safetensors`,
      2,
      'Weights are read only from safetensors: save the model once with save_pretrained().',
    );
  }
  if (!files.some((file) => TOKENIZER_FILES.includes(file)))
    throw new UserError(`${path} has no tokenizer (tokenizer.json or a vocabulary)`, 2);
  const weights = shards.reduce((sum, shard) => sum + countWeights(join(path, shard)), 0);
  return { name, path, digest: await digestFiles(path, files), ...sizes, weights };
}

function readConfig(path: string): ReturnType<typeof backboneSizes> {
  const file = join(path, 'config.json');
  const content = readIfThere(file);
  if (content === undefined)
    throw new UserError(
      `${path} has no config.json, so it is not a Hugging Face model directory`,
      2,
    );
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new UserError(`${file} is not JSON: ${(error as Error).message}`, 2);
  }
  return backboneSizes(file, value);
}

/** The number of weights in a safetensors file, from its header: 8 bytes of length, then JSON. */
function countWeights(file: string): number {
  const descriptor = openSync(file, 'r');
  try {
    const length = Buffer.alloc(8);
    readSync(descriptor, length, 0, 8, 0);
    const headerBytes = Number(length.readBigUInt64LE());
    if (headerBytes > statSync(file).size - 8)
      throw new UserError(`${file} is incomplete or not a safetensors file`, 2);
    const header = Buffer.alloc(headerBytes);
    readSync(descriptor, header, 0, headerBytes, 8);
    const tensors = JSON.parse(header.toString('utf8')) as Record<string, { shape?: number[] }>;
    return Object.entries(tensors)
      .filter(([name]) => name !== '__metadata__')
      .reduce((sum, [, { shape = [] }]) => sum + elements(shape), 0);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Hex SHA-256 of the sorted lines `<file digest> <name>\n`, the rule for a folder in event.proto.
 * Reading weights takes seconds, so the digest is cached until a file's size or time changes.
 */
async function digestFiles(path: string, files: string[]): Promise<string> {
  const seen = files.map((name) => {
    const { size, mtimeMs } = statSync(join(path, name));
    return `${name} ${size} ${mtimeMs}`;
  });
  const key = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 24);
  const cached = join(cacheDirectory(), 'digests', `${key}.json`);
  const before = recall<{ seen: string[]; digest: string }>(cached);
  if (before !== undefined && String(before.seen) === String(seen)) return before.digest;
  const lines: string[] = [];
  for (const name of files) lines.push(`${await fileDigest(join(path, name))}  ${name}\n`);
  const digest = createHash('sha256').update(lines.sort().join('')).digest('hex');
  remember(cached, { seen, digest });
  return digest;
}

async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
