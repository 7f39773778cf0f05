/** Which modules use which key of an adapter. Pure. */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { hasBottleneck, hasLora, hasMatrices, hasVirtualTokens } from '../sweep/adapters';
import type { AdapterConfig } from '../sweep/types';
import type { AdapterKeys } from './adapter-schema';

type Modules = Pick<AdapterConfig, 'attention' | 'ffn' | 'unfrozen'>;
type Uses = (modules: Modules) => boolean;

const hasAttention: Uses = ({ attention }) => ATTENTION_MODULES[attention].form !== null;
const hasFfn: Uses = ({ ffn }) => FFN_MODULES[ffn].form !== null;
const hasPrefix: Uses = ({ attention }) => ATTENTION_MODULES[attention].form === 'prefix';

/** Without the keys that choose the modules. */
const USERS: Record<Exclude<keyof AdapterKeys, 'kind' | 'attention' | 'ffn'>, Uses> = {
  bottleneck: (modules) => hasAttention(modules) || hasFfn(modules),
  attention_bottleneck: hasAttention,
  ffn_bottleneck: hasFfn,
  scale: hasBottleneck,
  norm: hasBottleneck,
  activation: hasBottleneck,
  init: hasMatrices,
  init_std: (modules) => hasMatrices(modules) || hasVirtualTokens(modules),
  lora_alpha: hasLora,
  prefix_hidden: hasPrefix,
  prefix_use: hasPrefix,
  learned_scale: ({ ffn }) => FFN_MODULES[ffn].form === 'bottleneck',
};

/** Whether a key changes anything in an adapter of such modules. */
export const usesKey = (key: keyof typeof USERS, modules: Modules): boolean => USERS[key](modules);

/** The keys of these that an adapter of such modules has no use for. */
export const listUnusedKeys = (keys: object, modules: Modules): string[] =>
  Object.keys(keys).filter((key) => key in USERS && !usesKey(key as keyof typeof USERS, modules));
