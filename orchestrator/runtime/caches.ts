/** What is made once per user, can be made again, and takes gigabytes. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './paths';

/** Folders that hold several things, each of which is made by itself. */
const SHELVES = ['hub', 'python', 'tensorflow'];
/** A few kB, which running commands use. */
const STAY = ['digests', 'ports'];

/** Environments, programs and backbones in the cache; marker files and logs go with them. */
export function listCaches(): string[] {
  const cache = cacheDirectory();
  return list(cache)
    .filter((name) => !STAY.includes(name))
    .flatMap((name) =>
      SHELVES.includes(name)
        ? list(join(cache, name)).map((each) => join(cache, name, each))
        : [join(cache, name)],
    );
}

const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

/**
 * Living processes of this user that use the cache, or may: those whose command names it, and
 * trainers, whose backbone may be in it.
 */
export function findCacheUsers(): { pid: number; command: string }[] {
  const marks = [cacheDirectory(), 'sparse_adapter_trainer', join('trainer', 'tfjs', 'main.js')];
  return listCommands().filter(
    ({ pid, command }) => pid !== process.pid && marks.some((mark) => command.includes(mark)),
  );
}

function listCommands(): { pid: number; command: string }[] {
  if (process.platform !== 'linux') {
    const lines = execFileSync('ps', ['axww', '-o', 'pid=,command='], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    }).split('\n');
    return lines.map((line) => {
      const [, pid = '', command = ''] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
      return { pid: Number(pid), command };
    });
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: readCommand(name) }));
}

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It has ended.
    return '';
  }
}
