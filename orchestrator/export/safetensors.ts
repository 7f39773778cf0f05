/** The project's own format: its tensors' names and formulas, without the units that are gone. */
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import { compact, countSaved } from './compaction';
import type { ExportFormat } from './export-format';
import { namePlace, parsePlace } from './places';
import { isLowRank, padUnits, tensorsOf, unitsOf, type Pair } from './units';

export const safetensors: ExportFormat = {
  title: 'safetensors',
  library: 'safetensors',
  findObstacle: () => null,
  make: (trained) => {
    const { weights, config, dataset, trial } = trained;
    // A module without a unit left keeps a zero one, so that no tensor is empty.
    const pairs = compact(trained, () => true).map((pair) =>
      padUnits(pair, Math.max(1, unitsOf(pair))),
    );
    const tensors: Record<string, Tensor> = {};
    for (const name of weights.keys()) if (!isOfPair(name)) tensors[name] = weights.get(name)!;
    for (const pair of pairs)
      for (const [name, tensor] of tensorsOf(pair))
        tensors[`${namePlace(pair.place)}.${name}`] = tensor;
    const content = {
      ...config,
      label_names: dataset.label_names,
      ...(pairs.some(isLowRank)
        ? { lora_scales: listScales(pairs, trial.adapter.lora_alpha) }
        : {}),
    };
    return Promise.resolve({
      files: new Map<string, string | Uint8Array>([
        ['adapter_model.safetensors', encodeSafetensors(tensors, { format: 'pt' })],
        ['adapter_config.json', `${JSON.stringify(content, null, 2)}\n`],
      ]),
      loading:
        'from safetensors.torch import load_file\n\n' +
        'tensors = load_file("adapter_model.safetensors")',
      notes: [
        'Names and formulas of the tensors are those of `Adapter` in sa-orch’s job.proto.',
        ...(pairs.some(isLowRank)
          ? ['LoRA’s update is scaled by `lora_scales` of adapter_config.json, for each place.']
          : []),
      ],
      compacted: countSaved(trained, pairs),
    });
  },
};

function isOfPair(name: string): boolean {
  const part = parsePlace(name)?.part;
  return part !== undefined && /^(down|up|norm)\./.test(part);
}

/** α / r by place, with the r that was trained. */
function listScales(pairs: readonly Pair[], alpha: number): Record<string, number> {
  const lora = pairs.filter(isLowRank);
  return Object.fromEntries(lora.map(({ place, trained }) => [namePlace(place), alpha / trained]));
}
