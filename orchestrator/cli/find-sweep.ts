/** Finds the sweep that a user names, here or where sweeps ran last. */
import { UserError } from '../base/errors';
import { suggestion } from '../base/suggest';
import { readKnownPlaces, type KnownPlace } from '../runtime/known-places';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { listSweeps } from '../store/sweep-store';
import { ambiguous, matchIds } from './find-id';
import type { PlaceOptions } from './options';
import { printNote } from './output';
import { namePlaces } from './typed-command';

export interface FoundSweep {
  sweepId: string;
  root: string;
  stateDir: string;
}

/** Other folders that are named if a sweep is nowhere. */
const NAMED = 3;

/**
 * The sweep with this id, or the only one whose id begins so. Looks in the folders of this command
 * and, unless the user named those, in the ones in which services were started last; then printed
 * commands name them, too.
 *
 * @param listOthers ids that this command knows of besides those with files here
 * @throws UserError (exit 2) if there is none, or several
 */
export async function findSweep(
  word: string,
  options: PlaceOptions,
  listOthers: (stateDir: string) => Promise<string[]> = () => Promise.resolve([]),
  env: NodeJS.ProcessEnv = process.env,
): Promise<FoundSweep> {
  const here = {
    root: artifactRoot(options.root, env),
    stateDir: stateDirectory(options.stateDir, env),
  };
  const ids = await listSweeps(here.root);
  const found = matchIds(word, ids);
  if (found.length > 1) throw ambiguous(word, found);
  if (found.length === 1) return { sweepId: found[0]!, ...here };
  const [open, ...more] = matchIds(word, await listOthers(here.stateDir));
  if (more.length > 0) throw ambiguous(word, [open!, ...more]);
  if (open !== undefined) return { sweepId: open, ...here };
  const namesPlace = options.root ?? options.stateDir ?? env.SA_ORCH_ROOT ?? env.SA_ORCH_STATE;
  const places =
    namesPlace === undefined
      ? readKnownPlaces(env).filter(({ stateDir }) => stateDir !== here.stateDir)
      : [];
  const elsewhere = await findElsewhere(word, places);
  if (elsewhere !== undefined) return elsewhere;
  throw new UserError(
    `no sweep in ${here.root} has the id ${word}${suggestion(word, ids)}`,
    2,
    `\`sa-orch status\` lists those here.${describeOthers(places)}`,
  );
}

async function findElsewhere(
  word: string,
  places: readonly KnownPlace[],
): Promise<FoundSweep | undefined> {
  const found: (FoundSweep & { folder: string })[] = [];
  for (const { folder, root, stateDir } of places)
    for (const sweepId of matchIds(word, await listSweeps(root)))
      found.push({ sweepId, root, stateDir, folder });
  const ids = [...new Set(found.map(({ sweepId }) => sweepId))];
  if (ids.length > 1) throw ambiguous(word, ids);
  const [first, ...others] = found;
  if (first === undefined) return undefined;
  if (others.length > 0) {
    throw new UserError(
      `${first.sweepId} is in several folders: ${found.map(({ folder }) => folder).join(', ')}`,
      2,
      'Give the command in one of them, or name --root and --state-dir.',
    );
  }
  const { sweepId, root, stateDir, folder } = first;
  namePlaces(root, stateDir);
  printNote(`… ${sweepId.padEnd(22)} in ${folder}\n`);
  return { sweepId, root, stateDir };
}

function describeOthers(places: readonly KnownPlace[]): string {
  if (places.length === 0) return '';
  const folders = [...new Set(places.map(({ folder }) => folder))];
  const more = folders.length > NAMED ? ` and ${folders.length - NAMED} more` : '';
  return (
    ' Sweeps belong to the folder in which they were started; the last ones were ' +
    `${folders.slice(0, NAMED).join(', ')}${more}.`
  );
}
