import { existsSync } from 'node:fs';
import { ConfigError } from '../base/errors';

/**
 * @param task where it is described, for messages, and its files by absolute paths
 * @throws ConfigError with each of a task's files that is not there
 */
export function checkFilesExist(
  name: string,
  { origin, files }: { origin: string; files: { train: string; validation: string } },
): void {
  const missing = (['train', 'validation'] as const).filter((split) => !existsSync(files[split]));
  if (missing.length === 0) return;
  throw new ConfigError(
    missing.map((split) => ({
      where: origin,
      message:
        `${name}: ${split}: there is no file ${files[split]}; ` +
        'a path is taken from the folder of the sweep file',
    })),
  );
}
