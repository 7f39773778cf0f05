/** Backbones under the artifact root, which a job names `backbones/<digest>`. */
import type { Backbone } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { artifactPath } from './artifacts';

/** Whether a job names its backbone as a folder under the artifact root. */
export const isUnderRoot = ({ path, digest }: Backbone): boolean => path === `backbones/${digest}`;

/**
 * The specification with the absolute path of a backbone that is under the root. Throws
 * EngineFailure (BAD_ARTIFACT) if that leaves the root by a link.
 */
export function placeBackbone<Spec extends { backbone?: Backbone }>(
  root: string,
  spec: Spec,
): Spec {
  const { backbone } = spec;
  if (!backbone || !isUnderRoot(backbone)) return spec;
  return { ...spec, backbone: { ...backbone, path: artifactPath(root, backbone.path) } };
}
