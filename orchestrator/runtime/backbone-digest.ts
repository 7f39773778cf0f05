/** The digest of a backbone's files, which is read again only where they may have changed. */
import { createHash } from 'node:crypto';
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { stampContent } from '../../common/content-stamp';
import { cacheDirectory } from './paths';
import { recall, remember } from './remember';

/**
 * Hex SHA-256 of the sorted lines `<file digest> <name>\n`, the rule for a folder in event.proto.
 * Reading weights takes seconds, so the digest is cached for the files' stamps.
 *
 * @param files names in the folder `path`, sorted
 */
export async function digestFiles(path: string, files: readonly string[]): Promise<string> {
  const seen = files.map((name) => stampContent(statSync(join(path, name), { bigint: true })));
  const key = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 24);
  const cached = join(cacheDirectory(), 'digests', `${key}.json`);
  const stamps = seen.map(({ stamp }, i) => `${files[i]} ${stamp}`);
  const before = recall<{ seen: string[]; digest: string }>(cached);
  if (before !== undefined && String(before.seen) === String(stamps)) return before.digest;
  const lines: string[] = [];
  for (const name of files) lines.push(`${await digestFile(join(path, name))}  ${name}\n`);
  const digest = createHash('sha256').update(lines.sort().join('')).digest('hex');
  if (seen.every(({ isSettled }) => isSettled)) remember(cached, { seen: stamps, digest });
  return digest;
}

async function digestFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
