/**
 * The named adapters: which modules each has, and what it has of its own where a sweep file says
 * nothing. A pair of modules that are there already is a row here and nothing else.
 */
import type { AdapterNormName } from './adapter-norms';
import type { AttentionModuleName } from './attention-modules';
import type { FfnModuleName } from './ffn-modules';
import type { UnfrozenName } from './unfrozen';
import { listWords } from './vocabulary';

export interface AdapterKind {
  readonly attention: AttentionModuleName;
  readonly ffn: FfnModuleName;
  readonly unfrozen: UnfrozenName;
  readonly paper: string | null;
  /** What goes before the defaults that hold for all. */
  readonly own: {
    readonly ffn_bottleneck?: number;
    readonly scale?: number;
    readonly norm?: AdapterNormName;
  };
}

const MODULES = { unfrozen: 'none', own: {} } as const;
const BACKBONE = { attention: 'none', ffn: 'none', own: {} } as const;

export const ADAPTER_KINDS = {
  houlsby: {
    ...MODULES,
    attention: 'sequential',
    ffn: 'sequential',
    paper: 'Houlsby et al. 2019',
  },
  pfeiffer: { ...MODULES, attention: 'none', ffn: 'after_norm', paper: 'Pfeiffer et al. 2021' },
  // The code of its paper normalizes neither this one nor MAM's.
  parallel: {
    ...MODULES,
    attention: 'parallel',
    ffn: 'parallel',
    paper: 'He et al. 2022',
    own: { norm: 'none' },
  },
  lora: { ...MODULES, attention: 'lora', ffn: 'none', paper: 'Hu et al. 2021' },
  prefix: { ...MODULES, attention: 'prefix', ffn: 'none', paper: 'Li & Liang 2021' },
  // Its parallel module has half the hidden size in the paper (512 of 1024): 192 is half of the
  // default backbone's.
  mam: {
    ...MODULES,
    attention: 'prefix',
    ffn: 'parallel',
    paper: 'He et al. 2022',
    own: { ffn_bottleneck: 192, scale: 4, norm: 'none' },
  },
  prompt: { ...MODULES, attention: 'prompt', ffn: 'none', paper: 'Lester et al. 2021' },
  bitfit: { ...BACKBONE, unfrozen: 'biases', paper: 'Ben Zaken et al. 2022' },
  full: { ...BACKBONE, unfrozen: 'all', paper: null },
  head_only: { ...BACKBONE, unfrozen: 'none', paper: null },
} as const satisfies Record<string, AdapterKind>;

export type AdapterKindName = keyof typeof ADAPTER_KINDS;

export const ADAPTER_KIND_NAMES = listWords<AdapterKindName>(ADAPTER_KINDS);
