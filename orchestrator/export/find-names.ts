import { namesOf, type ModelNames } from './places';
import { OpenBackbone } from './open-backbone';
import type { TrainedTrial } from './trained-trial';

/** The names in a trial's backbone. A T5 itself says whether its feed-forward blocks are gated. */
export async function findNames({ backbone }: Pick<TrainedTrial, 'backbone'>): Promise<ModelNames> {
  if (backbone.model_type !== 't5') return namesOf(backbone, false);
  const { config } = await OpenBackbone.open(backbone);
  return namesOf(backbone, String(config.feed_forward_proj).startsWith('gated-'));
}
