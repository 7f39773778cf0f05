/**
 * Which parts an adapter has. Knows only the contract; a value outside of it counts as a module,
 * and nothing else.
 */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { ModuleForm, ModuleRow } from '../../common/vocabulary/module-row';
import { findRow } from '../../common/vocabulary/vocabulary';
import {
  AttentionModule,
  FfnModule,
  Unfrozen,
  type Adapter,
  type AdapterInit,
  type AdapterNorm,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';

export type Site = 'attention' | 'ffn';

/** The sites that have a module. */
export function listModules({ attention, ffn }: Adapter): Site[] {
  const sites: Site[] = [];
  if (attention !== AttentionModule.ATTENTION_MODULE_NONE) sites.push('attention');
  if (ffn !== FfnModule.FFN_MODULE_NONE) sites.push('ffn');
  return sites;
}

/** The vocabulary's row for a site's module. */
export const rowAt = (adapter: Adapter, site: Site): ModuleRow | undefined =>
  site === 'attention'
    ? findRow(ATTENTION_MODULES, adapter.attention)
    : findRow(FFN_MODULES, adapter.ffn);

/** r of a site's module. */
export const findBottleneck = (adapter: Adapter, site: Site): number =>
  site === 'attention' ? adapter.attentionBottleneck : adapter.ffnBottleneck;

const filterSites = (adapter: Adapter, form: ModuleForm): Site[] =>
  listModules(adapter).filter((site) => rowAt(adapter, site)?.form === form);

/** The sites that have a module with a down and an up projection, biases, and perhaps a norm. */
export const bottlenecks = (adapter: Adapter): Site[] => filterSites(adapter, 'bottleneck');

export const hasBottleneck = (adapter: Adapter): boolean => bottlenecks(adapter).length > 0;

export const hasLora = (adapter: Adapter): boolean => filterSites(adapter, 'low_rank').length > 0;

/** Whether there is anything to prune: a down and an up projection. */
export const hasMatrices = (adapter: Adapter): boolean =>
  listModules(adapter).some((site) => (rowAt(adapter, site)?.matrices.length ?? 0) > 0);

/** Whether it has a prefix or a prompt, which are drawn with init_std whatever init says. */
export const hasVirtualTokens = (adapter: Adapter): boolean =>
  filterSites(adapter, 'prefix').length + filterSites(adapter, 'prompt').length > 0;

/** Where the bottleneck of a site normalizes. */
export const normAt = ({ norm, attentionNorm }: Adapter, site: Site): AdapterNorm =>
  (site === 'attention' && attentionNorm) || norm;

/** s of the bottleneck of a site; if it is trained, at the start. */
export const scaleAt = ({ scale, attentionScale }: Adapter, site: Site): number =>
  (site === 'attention' && attentionScale) || scale;

/** How the matrices of a site are drawn. */
export const initAt = ({ init, attentionInit }: Adapter, site: Site): AdapterInit =>
  (site === 'attention' && attentionInit) || init;

/** Whether tensors of the backbone are trained in place: all, or some by name. */
export const hasBackbone = ({ unfrozen, unfrozenTensors }: Adapter): boolean =>
  unfrozen === Unfrozen.UNFROZEN_ALL || unfrozenTensors.length > 0;
