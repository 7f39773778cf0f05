/** Bottleneck modules in AdapterHub's form. */
import type { Part } from './adapterhub-part';
import { compact } from './compaction';
import type { ModelNames, Place } from './places';
import type { TrainedTrial } from './trained-trial';
import { isLowRank, padUnits, tensorsOf, unitsOf, type Pair } from './units';

type Site = 'attention' | 'ffn';

export function listBottlenecks(trained: TrainedTrial, names: ModelNames): Part {
  const { adapter, id } = trained.trial;
  const pairs = compact(trained).filter((pair) => !isLowRank(pair));
  const sites = (['attention', 'ffn'] as const).filter((site) =>
    pairs.some(({ place }) => place.site === site),
  );
  const isOne = sites.length === 2 && adapter.attention === adapter.ffn;
  // Modules of one configuration have one width in each layer, and it is one at least.
  const shared = isOne && haveEqualWidths(pairs) ? [sites] : sites.map((site) => [site]);
  const groups = shared.map((group) =>
    widen(
      pairs.filter(({ place }) => group.includes(place.site as Site)),
      trained,
    ),
  );
  return {
    configs: groups.map((group, i) => describeGroup(trained, shared[i]!, group)),
    tensors: groups.flat().flatMap((pair) => nameTensors(pair, names, id, adapter.norm)),
    pairs: groups.flat(),
    notes: [],
  };
}

/** Whether attention and feed-forward module of each layer have kept equally many units. */
function haveEqualWidths(pairs: readonly Pair[]): boolean {
  const widths = new Map<string, Set<number>>();
  for (const pair of pairs) {
    const { stack, layer } = pair.place;
    const key = `${stack} ${layer}`;
    widths.set(key, (widths.get(key) ?? new Set()).add(unitsOf(pair)));
  }
  return [...widths.values()].every(({ size }) => size === 1);
}

/** Gives the modules of each layer the width of the widest. */
function widen(pairs: readonly Pair[], { backbone }: TrainedTrial): Pair[] {
  const widths = new Map<number, number>();
  for (const pair of pairs) {
    const index = layerIndex(pair.place, backbone);
    widths.set(index, Math.max(1, widths.get(index) ?? 1, unitsOf(pair)));
  }
  return pairs.map((pair) => padUnits(pair, widths.get(layerIndex(pair.place, backbone))!));
}

/** The library counts the decoder's layers after the encoder's. */
const layerIndex = ({ stack, layer }: Place, { num_layers }: TrainedTrial['backbone']): number =>
  stack === 'decoder' ? num_layers + layer : layer;

function describeGroup(
  { trial, backbone }: TrainedTrial,
  sites: readonly Site[],
  pairs: readonly Pair[],
): Record<string, unknown> {
  const { adapter } = trial;
  const module = sites.includes('ffn') ? adapter.ffn : adapter.attention;
  const isAfterNorm = module === 'after_norm';
  const factors = new Map(
    pairs.map((pair) => [
      String(layerIndex(pair.place, backbone)),
      reductionFactor(backbone.hidden_size, unitsOf(pair)),
    ]),
  );
  const different = new Set(factors.values());
  const [first] = different;
  return {
    mh_adapter: sites.includes('attention'),
    cross_adapter: sites.includes('attention') && backbone.decoder !== undefined,
    output_adapter: sites.includes('ffn'),
    reduction_factor:
      different.size === 1 ? first : { ...Object.fromEntries(factors), default: first },
    non_linearity: adapter.activation,
    is_parallel: module === 'parallel',
    scaling: adapter.scale,
    original_ln_before: isAfterNorm,
    original_ln_after: true,
    residual_before_ln: true,
    adapter_residual_before_ln: adapter.norm === 'after' && module === 'sequential',
    ln_before: adapter.norm === 'before',
    ln_after: adapter.norm === 'after',
    dropout: 0,
    init_weights: 'bert',
    init_weights_seed: null,
    inv_adapter: null,
    inv_adapter_reduction_factor: null,
    leave_out: [],
    phm_layer: false,
    stochastic_depth: 0,
    use_gating: false,
  };
}

/** What the library divides the hidden size by, and rounds down, to find the width. */
function reductionFactor(hidden: number, width: number): number {
  return hidden % width === 0 ? hidden / width : hidden / (width + 0.5);
}

function nameTensors(
  { place, ...pair }: Pair,
  names: ModelNames,
  id: string,
  norm: TrainedTrial['trial']['adapter']['norm'],
): Part['tensors'] {
  const at = `${names.nameHolder(place)}.adapters.${id}`;
  const isBefore = norm === 'before';
  // A norm before is the first of adapter_down's modules.
  const down = `adapter_down.${isBefore ? 1 : 0}`;
  return tensorsOf({ place, ...pair }).flatMap(([name, tensor]) => {
    const [part, kind] = name.split('.') as [string, string];
    const parts =
      part === 'down'
        ? [down]
        : part === 'up'
          ? ['adapter_up']
          : isBefore
            ? ['adapter_norm_before', 'adapter_down.0']
            : ['adapter_norm_after'];
    return parts.map((each): [string, typeof tensor] => [`${at}.${each}.${kind}`, tensor]);
  });
}
