/**
 * Names for what is still being written: `.<name>.<writer>.<8 hex digits>`, beside the final place.
 * The writer in it lets others see whether a leftover may go. The PyTorch trainer's
 * temporary_names.py makes the same names.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HOST, identify } from './process-identity';

/** What nobody can be asked about any more is left over after this time. */
const OLD_MS = 24 * 3600 * 1000;

/** What a name of a half-written file or folder looks like, those of earlier versions included. */
export const LEFTOVER = /^\..+\.[0-9a-f-]{8,36}$/;

const NAME = /^\..+\.([0-9a-f]{8})-(\d+)-\w*\.[0-9a-f]{8}$/;

const hostMark = createHash('sha256').update(HOST).digest('hex').slice(0, 8);
let ownMark: string | undefined;

/** A unique name in the same folder that begins with a dot and names this process. */
export function nameBeside(path: string): string {
  ownMark ??= markOf(process.pid);
  const unique = randomBytes(4).toString('hex');
  return join(dirname(path), `.${basename(path)}.${ownMark}.${unique}`);
}

/**
 * Removes what writers that are gone left unfinished in a folder. What another process is writing,
 * here or on another host, stays, unless it is older than a day. So does what others keep there.
 */
export function removeLeftovers(folder: string): void {
  for (const name of list(folder)) {
    if (!LEFTOVER.test(name)) continue;
    const path = join(folder, name);
    if (isWriterGone(name) || isOld(path)) rmSync(path, { recursive: true, force: true });
  }
}

function isWriterGone(name: string): boolean {
  const [, host, pid] = NAME.exec(name) ?? [];
  return host === hostMark && !name.includes(`.${markOf(Number(pid))}.`);
}

function isOld(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && Date.now() - found.mtimeMs > OLD_MS;
}

/** Host, pid and start time of a process; without the latter if there is no such process. */
function markOf(pid: number): string {
  const started = identify(pid)?.started.replace(/\W/g, '') ?? '';
  return `${hostMark}-${pid}-${started}`;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
