/** LoRA in AdapterHub's form, which has one rank and one α for all places. */
import type { Part } from './adapterhub-part';
import { multiply } from './arithmetic';
import { compact } from './compaction';
import type { ModelNames } from './places';
import type { TrainedTrial } from './trained-trial';
import { isLowRank, padUnits, unitsOf } from './units';

export function listLora(trained: TrainedTrial, names: ModelNames): Part {
  const { adapter, id } = trained.trial;
  const pairs = compact(trained).filter(isLowRank);
  const r = Math.max(1, ...pairs.map(unitsOf));
  // α / r of the first place; up holds what others differ by.
  const scale = adapter.lora_alpha / pairs[0]!.trained;
  const written = pairs.map((pair) => padUnits(pair, r));
  const differs = pairs.some(({ trained }) => adapter.lora_alpha / trained !== scale);
  return {
    configs: [
      {
        architecture: 'lora',
        selfattn_lora: adapter.attention === 'lora',
        intermediate_lora: adapter.ffn === 'lora',
        output_lora: adapter.ffn === 'lora',
        attn_matrices: ['q', 'v'],
        r,
        alpha: scale * r,
        dropout: 0,
        composition_mode: 'add',
        init_weights: 'lora',
        init_weights_seed: null,
        leave_out: [],
        use_dora: false,
        use_gating: false,
        vera_b: null,
        vera_d: null,
        dtype: null,
      },
    ],
    tensors: written.flatMap(({ place, down, up, trained }): Part['tensors'] => {
      const at = `${names.nameModule(place)}.loras.${id}`;
      const factor = adapter.lora_alpha / trained / scale;
      return [
        [`${at}.lora_A`, down],
        [`${at}.lora_B`, multiply(up, factor)],
      ];
    }),
    pairs: written,
    notes: differs
      ? ['The library has one α for all places; `lora_B` includes what they differ by.']
      : [],
  };
}
