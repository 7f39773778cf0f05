/** Which parts an adapter has. Knows the contract only. */
import {
  AttentionModule,
  FfnModule,
  Unfrozen,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';

/** Modules with a down and an up projection, biases, and perhaps a norm. */
const ATTENTION_BOTTLENECKS = [
  AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
  AttentionModule.ATTENTION_MODULE_PARALLEL,
];
const FFN_BOTTLENECKS = [
  FfnModule.FFN_MODULE_SEQUENTIAL,
  FfnModule.FFN_MODULE_PARALLEL,
  FfnModule.FFN_MODULE_AFTER_NORM,
];

export type Site = 'attention' | 'ffn';

/** The sites that have a module. */
export function modulesOf({ attention, ffn }: Adapter): Site[] {
  const sites: Site[] = [];
  if (attention !== AttentionModule.ATTENTION_MODULE_NONE) sites.push('attention');
  if (ffn !== FfnModule.FFN_MODULE_NONE) sites.push('ffn');
  return sites;
}

/** r of a site's module. */
export const bottleneckOf = (adapter: Adapter, site: Site): number =>
  site === 'attention' ? adapter.attentionBottleneck : adapter.ffnBottleneck;

/** The sites that have a module with a down and an up projection, biases, and perhaps a norm. */
export function bottlenecks(adapter: Adapter): Site[] {
  const has = {
    attention: ATTENTION_BOTTLENECKS.includes(adapter.attention),
    ffn: FFN_BOTTLENECKS.includes(adapter.ffn),
  };
  return modulesOf(adapter).filter((site) => has[site]);
}

export const hasBottleneck = (adapter: Adapter): boolean => bottlenecks(adapter).length > 0;

export function hasLora({ attention, ffn }: Adapter): boolean {
  return attention === AttentionModule.ATTENTION_MODULE_LORA || ffn === FfnModule.FFN_MODULE_LORA;
}

/** Whether there is anything to prune: a down and an up projection. */
export const hasMatrices = (adapter: Adapter): boolean =>
  hasBottleneck(adapter) || hasLora(adapter);

/** Whether it has a prefix or a prompt, which are drawn with init_std whatever init says. */
export function hasVirtualTokens({ attention }: Adapter): boolean {
  return (
    attention === AttentionModule.ATTENTION_MODULE_PREFIX ||
    attention === AttentionModule.ATTENTION_MODULE_PROMPT
  );
}

/** Whether all of the backbone is trained, in its own place. */
export const hasBackbone = ({ unfrozen }: Adapter): boolean => unfrozen === Unfrozen.UNFROZEN_ALL;
