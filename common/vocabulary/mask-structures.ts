/** What is removed together. */
import { MaskStructure } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const MASK_STRUCTURES = defineVocabulary<MaskStructure>()({
  weights: { proto: MaskStructure.MASK_STRUCTURE_WEIGHTS },
  // Zhou et al. 2021.
  n_m: { proto: MaskStructure.MASK_STRUCTURE_N_M },
  units: { proto: MaskStructure.MASK_STRUCTURE_UNITS },
});

export type MaskStructureName = keyof typeof MASK_STRUCTURES;

/** Those that the key `structure` names; N:M has numbers, and so a key of its own. */
export const NAMED_STRUCTURES = ['weights', 'units'] as const satisfies readonly Exclude<
  MaskStructureName,
  'n_m'
>[];

export type NamedStructure = (typeof NAMED_STRUCTURES)[number];
