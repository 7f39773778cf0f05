/** Which scores are compared with each other. */
import { PruneScope } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const PRUNE_SCOPES = defineVocabulary<PruneScope>()({
  global: { proto: PruneScope.PRUNE_SCOPE_GLOBAL },
  local: { proto: PruneScope.PRUNE_SCOPE_LOCAL },
});

export type PruneScopeName = keyof typeof PRUNE_SCOPES;

export const PRUNE_SCOPE_NAMES = listWords(PRUNE_SCOPES);
