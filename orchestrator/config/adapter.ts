/** From the adapter keys of a sweep file to a resolved adapter. Pure. */
import { ADAPTER_KINDS, type AdapterKind } from '../../common/vocabulary/adapter-kinds';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { ModuleRow } from '../../common/vocabulary/module-row';
import { hasBottleneck, hasLora, hasVirtualTokens, hasZeroUpInPaper } from '../sweep/adapters';
import type { AdapterConfig } from '../sweep/types';
import type { AdapterAxes, AdapterKeys } from './adapter-schema';
import { usesKey } from './adapter-users';
import type { Compat } from './compat';
import { DEFAULT_ADAPTER, DEFAULT_ADAPTER_KIND, OFFICIAL_LORA } from './defaults';

/**
 * A later `bottleneck` applies to both modules and replaces an earlier width of either. A later
 * `kind` replaces earlier modules.
 */
export function mergeAdapter(base: AdapterAxes, over: AdapterAxes): AdapterAxes {
  const kept = { ...base };
  if (over.bottleneck !== undefined) {
    delete kept.attention_bottleneck;
    delete kept.ffn_bottleneck;
  }
  if (over.kind !== undefined) {
    delete kept.attention;
    delete kept.ffn;
  }
  return { ...kept, ...over };
}

/** The modules that the keys choose. */
export function chooseModules({
  kind: name = DEFAULT_ADAPTER_KIND,
  ...keys
}: AdapterKeys): Pick<AdapterConfig, 'attention' | 'ffn' | 'unfrozen'> {
  const kind: AdapterKind = ADAPTER_KINDS[name];
  const { attention = kind.attention, ffn = kind.ffn } = keys;
  return { attention, ffn, unfrozen: kind.unfrozen };
}

/**
 * Fills in defaults, those of the kind first. A key that the modules do not use gets the fixed
 * value that AdapterConfig documents.
 *
 * @param asInPaper whether an adapter whose paper has a zero up-projection gets it
 */
export function completeAdapter(
  keys: AdapterKeys,
  compat: Compat = 'none',
  asInPaper = false,
): AdapterConfig {
  const kind: AdapterKind = ADAPTER_KINDS[keys.kind ?? DEFAULT_ADAPTER_KIND];
  const modules = chooseModules(keys);
  const { attention, ffn } = modules;
  const uses = (key: Parameters<typeof usesKey>[0]): boolean => usesKey(key, modules);
  const { lora_alpha, init } = compat === 'official' ? OFFICIAL_LORA : DEFAULT_ADAPTER;
  const lora = hasLora(modules) ? { lora_alpha, ...(hasBottleneck(modules) ? {} : { init }) } : {};
  const paper = asInPaper && hasZeroUpInPaper(modules) ? ({ init: 'zero_up' } as const) : {};
  const value = { ...DEFAULT_ADAPTER, ...lora, ...kind.own, ...paper, ...keys };
  const ownFfn = ffn === kind.ffn ? kind.own.ffn_bottleneck : undefined;
  return {
    ...modules,
    attention_bottleneck: chooseWidth(
      ATTENTION_MODULES[attention],
      keys.attention_bottleneck ?? keys.bottleneck,
    ),
    ffn_bottleneck: chooseWidth(FFN_MODULES[ffn], keys.ffn_bottleneck ?? keys.bottleneck ?? ownFfn),
    scale: uses('scale') ? value.scale : 1,
    norm: uses('norm') ? value.norm : 'none',
    activation: uses('activation') ? value.activation : 'relu',
    init: uses('init') ? value.init : 'gaussian',
    init_std:
      hasVirtualTokens(modules) || (uses('init') && value.init === 'gaussian') ? value.init_std : 0,
    lora_alpha: uses('lora_alpha') ? value.lora_alpha : 0,
    prefix_hidden: uses('prefix_hidden') ? value.prefix_hidden : 0,
    ...(keys.prefix_use && uses('prefix_use') ? { prefix_use: keys.prefix_use } : {}),
    ...(keys.learned_scale && uses('learned_scale') ? { learned_scale: true as const } : {}),
  };
}

function chooseWidth({ form, bottleneck }: ModuleRow, written: number | undefined): number {
  return form === null ? 0 : (written ?? bottleneck);
}
