import type { PoolState, TrainerReport } from '../../../workflows/pool-messages';

/** A pool that knows nothing yet. */
export const fresh = (): PoolState => ({
  ...{ graceSeconds: 60, members: [], leases: [], requests: [] },
  ...{ served: {}, asked: {}, orphans: [] },
});

/** A trainer that answers, with changes. */
export const trainer = (name: string, more: Partial<TrainerReport> = {}): TrainerReport => ({
  ...{ name, address: name, state: 'ready', why: null, kind: 'torch on cpu', slots: 1 },
  ...{ maxCohort: 10, ...more },
});
