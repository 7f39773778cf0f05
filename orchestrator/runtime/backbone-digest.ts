/** The digest of a backbone's files, which is read again only where they may have changed. */
import { createHash } from 'node:crypto';
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheDirectory } from './paths';
import { recall, remember } from './remember';

/**
 * For so long after a change another one may leave all the times as they are: file systems count
 * in steps of up to two seconds.
 */
const COARSEST_CLOCK_MS = 2000;

/**
 * Hex SHA-256 of the sorted lines `<file digest> <name>\n`, the rule for a folder in event.proto.
 * Reading weights takes seconds, so the digest is cached for the files' stamps.
 *
 * @param files names in the folder `path`, sorted
 */
export async function digestFiles(path: string, files: readonly string[]): Promise<string> {
  const seen = files.map((name) => stamp(join(path, name), name));
  const key = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 24);
  const cached = join(cacheDirectory(), 'digests', `${key}.json`);
  const stamps = seen.map(({ text }) => text);
  const before = recall<{ seen: string[]; digest: string }>(cached);
  if (before !== undefined && String(before.seen) === String(stamps)) return before.digest;
  const lines: string[] = [];
  for (const name of files) lines.push(`${await digestFile(join(path, name))}  ${name}\n`);
  const digest = createHash('sha256').update(lines.sort().join('')).digest('hex');
  if (seen.every(({ isSettled }) => isSettled)) remember(cached, { seen: stamps, digest });
  return digest;
}

/**
 * What changes with a file's content. Size and modification time alone do not: cp -p, tar and
 * rsync set the time, but they change the inode or the time of the change.
 */
function stamp(file: string, name: string): { text: string; isSettled: boolean } {
  const { size, mtimeNs, ctimeNs, ctimeMs, dev, ino } = statSync(file, { bigint: true });
  const isSettled = Date.now() - Number(ctimeMs) > COARSEST_CLOCK_MS;
  return { text: [name, size, mtimeNs, ctimeNs, dev, ino].join(' '), isSettled };
}

async function digestFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
