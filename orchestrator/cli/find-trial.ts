/** Finds the trial that a user names by its id or the beginning of one. */
import { join } from 'node:path';
import { UserError } from '../base/errors';
import { suggestion } from '../base/suggest';
import { artifactRoot } from '../runtime/paths';
import { listFolders } from '../store/needs';
import { findAnywhere } from './find-place';
import type { PlaceOptions } from './options';

const listTrials = (root: string): Promise<string[]> => listFolders(join(root, 'trials'));

/** @throws UserError (exit 2) if there is none, or several */
export async function findTrialFolder(
  word: string,
  places: PlaceOptions,
): Promise<{ id: string; root: string; stateDir: string }> {
  const found = await findAnywhere(word, places, listTrials);
  if (found) return found;
  const root = artifactRoot(places.root);
  const near = suggestion(word, await listTrials(root));
  throw new UserError(
    `no trial in ${root} has the id ${word}${near}`,
    2,
    'The report of a sweep lists its trials: `sa-orch report <sweep>`.',
  );
}
