/**
 * Which trainers serve an artifact root: `<root>/trainers/<owner>.json`, one file for each party
 * that runs trainers or names some. Whoever places work reads them again every few seconds, so a
 * trainer joins and leaves with its file.
 */
import { readdir, readFile } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurablySync } from '../../common/durable-files';
import { isNotThere } from '../../common/files';
import { mayBeAlive, type ProcessIdentity } from '../../common/process-identity';
import { parseObject } from '../base/parse-object';
import { checkAddress, type TlsFiles } from './channel';

/** How to reach a trainer. */
export interface TrainerSource {
  /** For people: `trainer`, `trainer-2`, or the address. */
  name: string;
  /** `unix:<path>` or `host:port`. */
  address: string;
  /** Absolute paths; if absent, those of the reader's environment. */
  tls?: TlsFiles;
}

export interface TrainerList {
  format: 1;
  /** Who wrote it, for people: `services of /home/u/x/.sa-orch on host a`. */
  owner: string;
  /** The list is void once this process is dead; if absent, it is valid until it is removed. */
  holder?: ProcessIdentity;
  trainers: TrainerSource[];
}

const folderOf = (root: string): string => join(root, 'trainers');

/** @param owner names the file: [a-z0-9-]+, the same for the same owner */
const listPath = (root: string, owner: string): string => join(folderOf(root), `${owner}.json`);

export function writeTrainerList(root: string, owner: string, list: TrainerList): void {
  writeDurablySync(listPath(root, owner), JSON.stringify(list, null, 2));
}

export function removeTrainerList(root: string, owner: string): void {
  rmSync(listPath(root, owner), { force: true });
}

/**
 * All trainers that serve the root, by address; of two entries with one address, the first file's.
 *
 * @throws ConfigError that names a file which is no list of trainers
 */
export async function readTrainers(root: string): Promise<TrainerSource[]> {
  const found = new Map<string, TrainerSource>();
  for (const path of await listFiles(root)) {
    const content = await readFile(path, 'utf8').catch(ignoreMissing);
    if (content === undefined) continue;
    const { holder, trainers } = parseObject<TrainerList>(path, content);
    if (holder !== undefined && !mayBeAlive(holder)) continue;
    for (const source of trainers) {
      checkAddress(source.address);
      if (!found.has(source.address)) found.set(source.address, source);
    }
  }
  return [...found.values()];
}

async function listFiles(root: string): Promise<string[]> {
  const names = (await readdir(folderOf(root)).catch(ignoreMissing)) ?? [];
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folderOf(root), name));
}

function ignoreMissing(error: unknown): undefined {
  if (!isNotThere(error)) throw error;
}
