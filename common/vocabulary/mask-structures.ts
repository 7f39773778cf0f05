/** The groups in which weights are removed. */
import { MaskStructure } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const MASK_STRUCTURES = defineVocabulary<MaskStructure>()({
  weights: { proto: MaskStructure.MASK_STRUCTURE_WEIGHTS },
  // Zhou et al. 2021.
  n_m: { proto: MaskStructure.MASK_STRUCTURE_N_M },
  units: { proto: MaskStructure.MASK_STRUCTURE_UNITS },
});

export type MaskStructureName = keyof typeof MASK_STRUCTURES;

/** The values of the key `structure`. N:M has a key of its own, because it has numbers. */
export const NAMED_STRUCTURES = ['weights', 'units'] as const satisfies readonly Exclude<
  MaskStructureName,
  'n_m'
>[];

export type NamedStructure = (typeof NAMED_STRUCTURES)[number];
