/** An adapter's names, and what it consists of. Pure. */
import { ADAPTER_KIND_NAMES, ADAPTER_KINDS } from '../../common/vocabulary/adapter-kinds';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { ModuleForm } from '../../common/vocabulary/module-row';
import type { AdapterConfig } from './types';

type Modules = Pick<AdapterConfig, 'attention' | 'ffn' | 'unfrozen' | 'unfrozen_tensors'>;

/**
 * The name of the kind with these modules, whatever their sizes. If there is no such kind,
 * `<attention>+<feed-forward>`, for example `lora+parallel`. Tensors of the backbone that train by
 * name are `biases`, or `tensors` if they are others.
 */
export function adapterName({ attention: asked, ffn, unfrozen, ...rest }: Modules): string {
  const tensors = rest.unfrozen_tensors ?? [];
  if (tensors.length > 0) {
    const trained = tensors.every((name) => name.endsWith('bias')) ? 'biases' : 'tensors';
    const modules = [asked, ffn].filter((each) => each !== 'none');
    return modules.length === 0 && trained === 'biases'
      ? 'bitfit'
      : [trained, ...modules].join('+');
  }
  // The published code's place of a parallel adapter.
  const attention = asked === 'parallel_context' ? 'parallel' : asked;
  const name = ADAPTER_KIND_NAMES.find((each) => {
    const kind: Modules = ADAPTER_KINDS[each];
    return kind.attention === attention && kind.ffn === ffn && kind.unfrozen === unfrozen;
  });
  return name ?? `${attention}+${ffn}`;
}

/** Whether one of these modules has this form. */
function hasForm({ attention, ffn }: Modules, form: ModuleForm): boolean {
  return ATTENTION_MODULES[attention].form === form || FFN_MODULES[ffn].form === form;
}

/** Whether a module has down, up, a scale, a norm and an activation. */
export function hasBottleneck(modules: Modules): boolean {
  return hasForm(modules, 'bottleneck');
}

export function hasLora(modules: Modules): boolean {
  return hasForm(modules, 'low_rank');
}

/** The rank of each of its LoRA modules, which divides lora_alpha. */
export function listLoraRanks(adapter: AdapterConfig): number[] {
  const { attention, ffn, attention_bottleneck, ffn_bottleneck } = adapter;
  return [
    ...(ATTENTION_MODULES[attention].form === 'low_rank' ? [attention_bottleneck] : []),
    ...(FFN_MODULES[ffn].form === 'low_rank' ? [ffn_bottleneck] : []),
  ];
}

/** Whether its paper starts it with up at 0: LoRA (Hu et al. 2021), MAM (He et al. 2022). */
export function hasZeroUpInPaper(modules: Modules): boolean {
  return (hasLora(modules) && !hasBottleneck(modules)) || adapterName(modules) === 'mam';
}

/** Whether a module has trained keys and values, or tokens, which are drawn with init_std. */
export function hasVirtualTokens(modules: Modules): boolean {
  return hasForm(modules, 'prefix') || hasForm(modules, 'prompt');
}

/** Whether a module has matrices that can be pruned. */
export function hasMatrices({ attention, ffn }: Modules): boolean {
  return ATTENTION_MODULES[attention].matrices.length + FFN_MODULES[ffn].matrices.length > 0;
}

/**
 * r of the modules: one number, or [attention, feed-forward] if both exist and differ; 0 without a
 * module.
 */
export function findBottleneck({
  attention_bottleneck: attention,
  ffn_bottleneck: ffn,
}: AdapterConfig): number | [number, number] {
  return attention === 0 || ffn === 0 || attention === ffn
    ? Math.max(attention, ffn)
    : [attention, ffn];
}

/** `64`, `64/16` for attention/feed-forward, or `–` without a module. */
export function bottleneckLabel(adapter: AdapterConfig): string {
  return [findBottleneck(adapter)].flat().join('/').replace(/^0$/, '–');
}

/** `houlsby-64`, or only the name without a module. */
export function adapterLabel(adapter: AdapterConfig): string {
  const bottleneck = bottleneckLabel(adapter);
  return bottleneck === '–' ? adapterName(adapter) : `${adapterName(adapter)}-${bottleneck}`;
}
