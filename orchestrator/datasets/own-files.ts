import { findOddity, NO_FILE } from '../../common/files';
import { ConfigError } from '../base/errors';

/**
 * @param task the place where it is described, for messages, and its files by absolute paths
 * @throws ConfigError with each missing file of a task
 */
export function checkFilesExist(
  name: string,
  { origin, files }: { origin: string; files: { train: string; validation: string } },
): void {
  const splits = ['train', 'validation'] as const;
  const odd = splits.map((split) => ({ split, oddity: findOddity(files[split]) }));
  const problems = odd.filter(({ oddity }) => oddity !== undefined);
  if (problems.length === 0) return;
  throw new ConfigError(
    problems.map(({ split, oddity }) => ({
      where: origin,
      message:
        oddity === NO_FILE
          ? `${name}: ${split}: there is no file ${files[split]}; ` +
            'paths are relative to the folder of the sweep file'
          : `${name}: ${split}: ${files[split]} ${oddity}`,
    })),
  );
}
