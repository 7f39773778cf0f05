/** Services in other folders of this user. */
import { readKnownPlaces, type KnownPlace } from '../runtime/known-places';
import { runtimeStatus, type ServiceStatus } from '../runtime/status';

/** How many folders a hint names. */
const NAMED = 3;

export interface Folder extends KnownPlace {
  services: ServiceStatus[];
  /** Why they cannot be listed; null if they can. */
  problem: string | null;
}

/** The folders in which services were started last and in which some process of theirs lives. */
export function listBusyFolders(): Folder[] {
  return readKnownPlaces()
    .map(readFolder)
    .filter(
      ({ services, problem }) => problem !== null || services.some(({ pid }) => pid !== null),
    );
}

function readFolder(place: KnownPlace): Folder {
  try {
    return { ...place, services: runtimeStatus(place.stateDir), problem: null };
  } catch (error) {
    return { ...place, services: [], problem: (error as Error).message };
  }
}

/** `; services run in /a, /b: …` if they do in another folder than this; else nothing. */
export function describeOtherFolders(stateDir: string): string {
  const folders = listBusyFolders()
    .filter((folder) => folder.stateDir !== stateDir && folder.problem === null)
    .map(({ folder }) => folder);
  if (folders.length === 0) return '';
  const more = folders.length > NAMED ? ` and ${folders.length - NAMED} more` : '';
  return (
    `; services run in ${folders.slice(0, NAMED).join(', ')}${more}: ` +
    '`sa-orch status --all` lists them'
  );
}
