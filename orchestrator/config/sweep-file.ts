/** A sweep's file: which one is meant, and the name that it gives the sweep. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { findOddity } from '../../common/files';
import { packageRoot } from '../../common/package';
import { ConfigError } from '../base/errors';
import { suggestion } from '../base/suggest';

const LONGEST_NAME = 100;

const NAMES =
  `up to ${LONGEST_NAME} of a–z, A–Z, 0–9, _, - and ., ` + 'beginning with a letter, a digit or _';

/** Names of sweeps, which become part of ids, folders and commands. */
export const sweepName = z
  .string({ error: 'a string' })
  .regex(new RegExp(`^\\w[\\w.-]{0,${LONGEST_NAME - 1}}$`), NAMES);

/** The sweep's name if its file gives none: the file's own, or a valid one like it. */
export function nameAfter(file: string): string {
  const name = basename(file).replace(/\.ya?ml$/, '');
  return sweepName.safeParse(name).success ? name : resemble(name);
}

/** A valid name like this one, which YAML reads as a string. */
function resemble(name: string): string {
  const plain = name
    .replaceAll(/[^\w.]+/g, '-')
    .replaceAll(/^[.-]+|-+$/g, '')
    .slice(0, LONGEST_NAME - 'sweep-'.length);
  return /[a-z]/i.test(plain) ? plain : `sweep-${plain || '1'}`;
}

/**
 * The file that is meant by a path or by the name of one in `configs/sweeps` (without `.yaml`):
 * `glue`, `published/glue`. A file that is there comes before a name with a slash.
 *
 * @throws ConfigError if there is none
 */
export function findSweepFile(nameOrFile: string): string {
  const folder = join(packageRoot(), 'configs', 'sweeps');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
  const isPath = /\.ya?ml$/.test(nameOrFile) || nameOrFile.includes('/');
  const oddity = isPath ? findOddity(nameOrFile) : undefined;
  if (isPath && oddity === undefined) return nameOrFile;
  if (names.includes(nameOrFile)) return join(folder, `${nameOrFile}.yaml`);
  if (isPath) {
    const message = `${oddity}; give the path of a sweep file or the name of one in configs/sweeps`;
    throw new ConfigError({ where: nameOrFile, message });
  }
  const known = `must be one of ${names.join(', ')}${suggestion(nameOrFile, names)}`;
  throw new ConfigError({
    where: folder,
    message: `no sweep is named "${nameOrFile}"; ${known} (or a path that ends in .yaml)`,
  });
}
