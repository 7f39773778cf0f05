/** What a trainer sees of the orchestrator's artifact root. */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';

/**
 *   same       the root and this machine's paths
 *   shared     the root, from a machine that may lack other paths
 *   own        neither: it has a root of its own, and files move through ArtifactService
 */
export type Access = 'same' | 'shared' | 'own';

export function findAccess(
  address: string,
  { artifactRootId }: Pick<Capabilities, 'artifactRootId'>,
  rootId: string,
): Access {
  if (artifactRootId !== rootId) return 'own';
  return address.startsWith('unix:') ? 'same' : 'shared';
}

/** Why a trainer cannot work for this root; undefined if it can. */
export function findObstacle(
  address: string,
  capabilities: Pick<Capabilities, 'artifactRootId' | 'artifactService'>,
  root: { path: string; id: string },
): string | undefined {
  if (findAccess(address, capabilities, root.id) !== 'own' || capabilities.artifactService)
    return undefined;
  return (
    `the trainer at ${address} uses a different artifact root from ${root.path}, and does not ` +
    'implement ArtifactService, through which files would move'
  );
}
