/** Finds what a user names by an id: here, or where services were started last. */
import { join } from 'node:path';
import { UserError } from '../base/errors';
import { quoteCommand } from '../base/shell-quote';
import { suggestion } from '../base/suggest';
import { readKnownPlaces, type KnownPlace } from '../runtime/known-places';
import { artifactRoot, stateDirectory, USUAL } from '../runtime/paths';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { listSweeps } from '../store/sweep-store';
import { ambiguous, findId, matchIds } from './find-id';
import type { PlaceOptions } from './options';
import { printNote } from './output';
import { namePlaces } from './typed-command';

export interface FoundSweep {
  sweepId: string;
  root: string;
  stateDir: string;
}

interface Found {
  id: string;
  root: string;
  stateDir: string;
}

type Env = NodeJS.ProcessEnv;

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
  env: Env = process.env,
): Promise<FoundSweep> {
  const here = findHere(options, env);
  const ids = await listSweeps(here.root);
  const isHere = matchIds(word, ids).length > 0;
  const open = isHere ? [] : await listOthers(here.stateDir);
  const found =
    matchIds(word, open).length > 0
      ? { id: findId(word, open, 'sweep here'), ...here, root: rootOfServices(here) }
      : await findAnywhere(word, options, listSweeps, env);
  if (found !== undefined) {
    const { id, root, stateDir } = found;
    return { sweepId: id, root, stateDir };
  }
  throw new UserError(
    `no sweep in ${here.root} has the id ${word}${suggestion(word, ids)}`,
    2,
    `\`sa-orch status\` lists those here.${describeOthers(listOtherPlaces(options, env))}`,
  );
}

/** Which may run on another artifact root than this command's. */
const rootOfServices = ({ root, stateDir }: { root: string; stateDir: string }) =>
  readRuntimeConfig(stateDir)?.root ?? root;

const findHere = ({ root, stateDir }: PlaceOptions, env: Env) => ({
  root: artifactRoot(root, env),
  stateDir: stateDirectory(stateDir, env),
});

/**
 * What has this id, here or in another folder; undefined if nothing has.
 *
 * @param listIds the ids under a root
 * @throws UserError (exit 2) if several begin so
 */
export async function findAnywhere(
  word: string,
  options: PlaceOptions,
  listIds: (root: string) => Promise<string[]>,
  env: Env = process.env,
): Promise<Found | undefined> {
  const here = findHere(options, env);
  const [id, ...others] = matchIds(word, await listIds(here.root));
  if (others.length > 0) throw ambiguous(word, [id!, ...others]);
  if (id !== undefined) return { id, ...here };
  const found: (Found & { folder: string })[] = [];
  for (const { folder, root, stateDir } of listOtherPlaces(options, env))
    for (const id of matchIds(word, await listIds(root)))
      found.push({ id, root, stateDir, folder });
  return found.length === 0 ? undefined : choose(word, found);
}

/** Where else to look: nowhere if the user named a place. */
function listOtherPlaces(options: PlaceOptions, env: Env): KnownPlace[] {
  const named = options.root ?? options.stateDir ?? env.SA_ORCH_ROOT ?? env.SA_ORCH_STATE;
  if (named !== undefined) return [];
  const here = findHere(options, env);
  return readKnownPlaces(env).filter(({ stateDir }) => stateDir !== here.stateDir);
}

function choose(word: string, found: readonly (Found & { folder: string })[]): Found {
  const ids = [...new Set(found.map(({ id }) => id))];
  if (ids.length > 1) throw ambiguous(word, ids);
  const { id, root, stateDir, folder } = found[0]!;
  // Several state directories may have had one root: the last one counts.
  const roots = new Map(found.toReversed().map((each) => [each.root, each]));
  if (roots.size > 1) {
    const places = [...roots.values()].reverse().map(describePlace);
    throw new UserError(
      `${id} is in several places: ${places.join(', ')}`,
      2,
      'Give the command in one of these folders, or with these --root and --state-dir.',
    );
  }
  namePlaces(root, stateDir);
  printNote(`… ${id.padEnd(22)} in ${folder}\n`);
  return { id, root, stateDir };
}

/** Its folder, if a command there works on it; else the options with which one does. */
function describePlace({ folder, root, stateDir }: KnownPlace): string {
  const isUsual = root === join(folder, USUAL.root) && stateDir === join(folder, USUAL.stateDir);
  return isUsual ? folder : quoteCommand('--root', root, '--state-dir', stateDir);
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
