import { existsSync } from 'node:fs';
import { ConfigError } from '../base/errors';

/**
 * @param task the place where it is described, for messages, and its files by absolute paths
 * @throws ConfigError with each missing file of a task
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
        'paths are relative to the folder of the sweep file',
    })),
  );
}
