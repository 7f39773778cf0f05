/**
 * The named adapters: which modules each has, and what it has of its own where a sweep file says
 * nothing. Pure.
 */
import type {
  AdapterConfig,
  AdapterNorm,
  AttentionModule,
  FfnModule,
  Unfrozen,
} from '../sweep/types';

export interface AdapterKind {
  attention: AttentionModule;
  ffn: FfnModule;
  unfrozen: Unfrozen;
  /** What goes before the defaults of defaults.ts. */
  own: { ffn_bottleneck?: number; scale?: number; norm?: AdapterNorm };
}

/**
 * Sources: Houlsby 2019; Pfeiffer 2021; parallel and MAM from He et al. 2022 ("Towards a unified
 * view"), whose code normalizes neither; LoRA on query and value (Hu 2021); prefix tuning (Li &
 * Liang 2021); prompt tuning (Lester 2021); BitFit (Ben Zaken 2022); full fine-tuning.
 *
 * MAM's parallel module has half the hidden size in the paper (512 of 1024): 192 is half of the
 * default backbone's.
 */
export const ADAPTER_KINDS = {
  houlsby: { attention: 'sequential', ffn: 'sequential', unfrozen: 'none', own: {} },
  pfeiffer: { attention: 'none', ffn: 'after_norm', unfrozen: 'none', own: {} },
  parallel: { attention: 'parallel', ffn: 'parallel', unfrozen: 'none', own: { norm: 'none' } },
  lora: { attention: 'lora', ffn: 'none', unfrozen: 'none', own: {} },
  prefix: { attention: 'prefix', ffn: 'none', unfrozen: 'none', own: {} },
  mam: {
    attention: 'prefix',
    ffn: 'parallel',
    unfrozen: 'none',
    own: { ffn_bottleneck: 192, scale: 4, norm: 'none' },
  },
  prompt: { attention: 'prompt', ffn: 'none', unfrozen: 'none', own: {} },
  bitfit: { attention: 'none', ffn: 'none', unfrozen: 'biases', own: {} },
  full: { attention: 'none', ffn: 'none', unfrozen: 'all', own: {} },
  head_only: { attention: 'none', ffn: 'none', unfrozen: 'none', own: {} },
} as const satisfies Record<string, AdapterKind>;

export type AdapterKindName = keyof typeof ADAPTER_KINDS;

export const ADAPTER_KIND_NAMES = Object.keys(ADAPTER_KINDS) as [
  AdapterKindName,
  ...AdapterKindName[],
];

type Modules = Pick<AdapterConfig, 'attention' | 'ffn' | 'unfrozen'>;

/**
 * The name of the kind with these modules, whatever their sizes; else `<attention>+<feed-forward>`,
 * for example `lora+parallel`.
 */
export function adapterName({ attention, ffn, unfrozen }: Modules): string {
  const name = ADAPTER_KIND_NAMES.find((each) => {
    const kind: Modules = ADAPTER_KINDS[each];
    return kind.attention === attention && kind.ffn === ffn && kind.unfrozen === unfrozen;
  });
  return name ?? `${attention}+${ffn}`;
}

/** Whether it has down, up, a scale, a norm and an activation. */
export function isBottleneck(module: AttentionModule | FfnModule): boolean {
  return module === 'sequential' || module === 'parallel' || module === 'after_norm';
}

export function hasBottleneck({ attention, ffn }: Modules): boolean {
  return isBottleneck(attention) || isBottleneck(ffn);
}

export function hasLora({ attention, ffn }: Modules): boolean {
  return attention === 'lora' || ffn === 'lora';
}

/** Whether it has matrices that can be pruned. */
export function hasMatrices(modules: Modules): boolean {
  return hasBottleneck(modules) || hasLora(modules);
}

/**
 * r of the modules: one number, or [attention, feed-forward] where both are there and differ; 0
 * without a module.
 */
export function bottleneckOf({
  attention_bottleneck: attention,
  ffn_bottleneck: ffn,
}: AdapterConfig): number | [number, number] {
  return attention === 0 || ffn === 0 || attention === ffn
    ? Math.max(attention, ffn)
    : [attention, ffn];
}

/** `64`, or `64/16` for attention/feed-forward; `–` without a module. */
export function bottleneckLabel(adapter: AdapterConfig): string {
  return [bottleneckOf(adapter)].flat().join('/').replace(/^0$/, '–');
}

/** `houlsby-64`; the name alone without a module. */
export function adapterLabel(adapter: AdapterConfig): string {
  const bottleneck = bottleneckLabel(adapter);
  return bottleneck === '–' ? adapterName(adapter) : `${adapterName(adapter)}-${bottleneck}`;
}
