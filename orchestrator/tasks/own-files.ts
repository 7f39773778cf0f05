import { existsSync } from 'node:fs';
import { ConfigError } from '../base/errors';
import type { OwnTask } from './family';

/** @throws ConfigError with each of a task's files that is not there */
export function checkFilesExist(
  name: string,
  { origin, files }: Pick<OwnTask, 'origin' | 'files'>,
): void {
  const missing = (['train', 'validation'] as const).filter((split) => !existsSync(files[split]));
  if (missing.length === 0) return;
  throw new ConfigError(
    missing.map((split) => ({
      where: origin,
      message: `${name}: ${split}: there is no file ${files[split]}; a path is taken from the folder of the sweep file`,
    })),
  );
}
