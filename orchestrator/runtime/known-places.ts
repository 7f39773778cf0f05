/**
 * The folders in which this user started services last, so that a command in another folder can
 * find them: a small file in the user's state directory. It is a convenience: what cannot be read
 * or written is left alone.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { writeDurablySync } from '../../common/durable-files';
import { homeDirectory } from './paths';

type Env = Readonly<Record<string, string | undefined>>;

/** Where services were started; all paths are absolute. */
export interface KnownPlace {
  /** The working directory at that time. */
  folder: string;
  root: string;
  stateDir: string;
}

const MOST = 50;

const listPath = (env: Env): string =>
  join(env.XDG_STATE_HOME || join(homeDirectory(env), '.local', 'state'), 'sa-orch', 'places.json');

/** The places that still exist, the last one first. */
export function readKnownPlaces(env: Env = process.env): KnownPlace[] {
  try {
    const found: unknown = JSON.parse(readFileSync(listPath(env), 'utf8'));
    if (!Array.isArray(found)) return [];
    return found
      .filter(isPlace)
      .slice(0, MOST)
      .filter(({ root, stateDir }) => existsSync(stateDir) || existsSync(root));
  } catch {
    return [];
  }
}

function isPlace(value: unknown): value is KnownPlace {
  if (typeof value !== 'object' || value === null) return false;
  const { folder, root, stateDir } = value as Record<string, unknown>;
  return [folder, root, stateDir].every((path) => typeof path === 'string' && path !== '');
}

/** Notes that services were started here just now. */
export function rememberPlace(place: KnownPlace, env: Env = process.env): void {
  const others = readKnownPlaces(env).filter(({ stateDir }) => stateDir !== place.stateDir);
  const { folder, root, stateDir } = place;
  const places = [{ folder, root, stateDir }, ...others].slice(0, MOST);
  try {
    makeFolder(dirname(listPath(env)), 0o700);
    writeDurablySync(listPath(env), JSON.stringify(places, null, 2));
  } catch {
    // No other command depends on it.
  }
}
