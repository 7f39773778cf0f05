/**
 * Which trainers serve an artifact root: `<root>/trainers/<owner>.json`, one file for each party
 * that runs trainers or names some. Whoever places work reads them again every few seconds, so a
 * trainer joins and leaves with its file.
 */
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurablySync } from '../../common/durable-files';
import { isNotThere } from '../../common/files';
import { HOST, identify, isAlive, isElsewhere } from '../../common/process-identity';
import type { ProcessIdentity } from '../../common/process-identity';
import { isSystemError } from '../../common/system-errors';
import { ConfigError } from '../base/errors';
import { brokenFile, parseObject } from '../base/parse-object';
import { expandSource, type FoundTrainers, type TrainerSource } from './sources';

export type { FoundTrainers, TrainerSource } from './sources';

export interface TrainerList {
  format: 1;
  /** Who wrote it, for people: `services of /home/u/x/.sa-orch on host a`. */
  owner: string;
  /** Where it was written: its sockets can be reached only there. Absent: here. */
  host?: string;
  /**
   * The list is void once this process is dead, or, on another host, once it has not been written
   * again for VOID_MS; if absent, it is valid until it is removed.
   */
  holder?: ProcessIdentity;
  /** The list is void once this folder, on its host, is gone. */
  folder?: string;
  trainers: TrainerSource[];
}

/** How often a process writes its list again, and after what silence nobody counts on it. */
const TOUCH_MS = 30_000;
const VOID_MS = 10 * 60_000;

/** Addresses that mean nothing on another host. */
const ONLY_THERE = /^(unix:|127\.|localhost:|\[::1\])/;

const folderOf = (root: string): string => join(root, 'trainers');

/** @param owner names the file: [a-z0-9-]+, the same for the same owner */
const listPath = (root: string, owner: string): string => join(folderOf(root), `${owner}.json`);

/** The owner that the services of a state directory are. */
export function nameServices(stateDir: string): string {
  const digest = createHash('sha256').update(`${HOST}\0${stateDir}`).digest('hex');
  return `services-${digest.slice(0, 12)}`;
}

export function writeTrainerList(root: string, owner: string, list: TrainerList): void {
  writeDurablySync(listPath(root, owner), JSON.stringify(list, null, 2));
}

export function removeTrainerList(root: string, owner: string): void {
  rmSync(listPath(root, owner), { force: true });
}

/**
 * Lists trainers for as long as this process lives or until it calls the returned function. Lists
 * whose writers are gone are removed.
 *
 * @param what this process is, for people and for the file's name: `trainer`, `worker`
 */
export async function holdTrainerList(
  root: string,
  what: string,
  trainers: TrainerSource[],
): Promise<() => void> {
  await removeVoidLists(root);
  const holder = identify(process.pid);
  const owner = `${what}-${HOST.toLowerCase().replace(/[^a-z0-9]+/g, '-')}-${process.pid}`;
  const people = `${what}, process ${process.pid} on host ${HOST}`;
  const write = (): void =>
    writeTrainerList(root, owner, { format: 1, owner: people, host: HOST, holder, trainers });
  write();
  const timer = setInterval(() => {
    try {
      write();
    } catch (error) {
      // A full or vanished disk: the next time may go better, and the trainer works meanwhile.
      if (!isSystemError(error)) throw error;
    }
  }, TOUCH_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    removeTrainerList(root, owner);
  };
}

/**
 * All trainers that serve the root and can be reached from here, by address; of two entries with
 * one address, the first file's. A file, a line or a name that cannot be read is a problem, and
 * hides no other.
 */
export async function readTrainers(root: string): Promise<FoundTrainers> {
  const found = new Map<string, TrainerSource>();
  const problems: string[] = [];
  for (const path of await listFiles(root, problems)) {
    const list = await readList(path, problems);
    if (list === undefined || (await isVoid(path, list))) continue;
    for (const source of list.trainers) {
      if ((list.host ?? HOST) !== HOST && ONLY_THERE.test(source.address)) continue;
      const expanded = await expandSource(source);
      problems.push(...expanded.problems);
      for (const trainer of expanded.trainers)
        if (!found.has(trainer.address)) found.set(trainer.address, trainer);
    }
  }
  return { trainers: [...found.values()], problems };
}

async function listFiles(root: string, problems: string[]): Promise<string[]> {
  const names = await readdir(folderOf(root)).catch((error: unknown) => note(error, problems));
  return (names ?? [])
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folderOf(root), name));
}

/** A list; undefined, with a problem, for a file that is none, and for one that has just gone. */
async function readList(path: string, problems: string[]): Promise<TrainerList | undefined> {
  try {
    const list = parseObject<TrainerList>(path, await readFile(path, 'utf8'));
    const isList =
      Array.isArray(list.trainers) &&
      list.trainers.every((trainer) => typeof trainer?.address === 'string');
    if (!isList) throw brokenFile(path, 'lists no trainers');
    return list;
  } catch (error) {
    return note(error, problems);
  }
}

function note(error: unknown, problems: string[]): undefined {
  if (isNotThere(error)) return;
  if (!isSystemError(error) && !(error instanceof ConfigError)) throw error;
  problems.push(error.message);
}

async function isVoid(
  path: string,
  { host = HOST, folder, holder }: TrainerList,
): Promise<boolean> {
  if (folder !== undefined && host === HOST && !existsSync(folder)) return true;
  if (holder === undefined) return false;
  if (!isElsewhere(holder)) return !isAlive(holder);
  const written = await stat(path).catch(() => undefined);
  return written === undefined || Date.now() - written.mtimeMs > VOID_MS;
}

async function removeVoidLists(root: string): Promise<void> {
  for (const path of await listFiles(root, [])) {
    const list = await readList(path, []);
    if (list !== undefined && (await isVoid(path, list))) rmSync(path, { force: true });
  }
}
