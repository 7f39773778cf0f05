/**
 * The named adapters: the modules of each, and its own defaults for a sweep file. A new pair of
 * existing modules needs only a row here.
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
  /** Defaults that take precedence over those of all kinds. */
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
  // The paper's code normalizes neither this module nor MAM's.
  parallel: {
    ...MODULES,
    attention: 'parallel',
    ffn: 'parallel',
    paper: 'He et al. 2022',
    own: { norm: 'none' },
  },
  lora: { ...MODULES, attention: 'lora', ffn: 'none', paper: 'Hu et al. 2021' },
  prefix: { ...MODULES, attention: 'prefix', ffn: 'none', paper: 'Li & Liang 2021' },
  // The paper's parallel module has half the hidden size (512 of 1024); 192 is half that of the
  // default backbone.
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
