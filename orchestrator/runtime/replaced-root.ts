/** Notices that the artifact root was removed or replaced while services work in it. */
import { readRootId } from '../../common/files';
import type { RuntimeConfig } from './runtime-config';

/**
 * What happened to the artifact root of running services, and the way out; undefined if it is the
 * one with which they were started.
 */
export function describeReplacedRoot({
  root,
  rootId,
}: RuntimeConfig): { what: string; wayOut: string } | undefined {
  if (rootId === undefined) return undefined;
  const now = readRootId(root);
  if (now === rootId) return undefined;
  const happened = now === undefined ? 'is gone' : 'is not the folder that it was';
  return {
    what: `${root} ${happened}: it was removed or replaced while the services were running`,
    wayOut:
      '`sa-orch down` stops them and ends the sweeps whose files are gone; the next start begins ' +
      'in the folder as it is then.',
  };
}
