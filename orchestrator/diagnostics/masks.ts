/** What a mask keeps, by matrix and by bottleneck unit. Pure. */
import type { Tensor } from '../datasets/safetensors';
import type { MaskDiagnostics } from './types';

export type Masks = ReadonlyMap<string, Tensor>;

/** @param masks 0 or 1, under the names and in the shapes of the weights that they mask */
export function describeMask(masks: Masks): MaskDiagnostics {
  const matrices: MaskDiagnostics['matrices'] = {};
  const units: MaskDiagnostics['units'] = {};
  for (const [name, mask] of masks) {
    matrices[name.replace(/\.weight$/, '')] = [countOnes(mask), mask.data.length];
    const module = /^(.*)\.down\.weight$/.exec(name)?.[1];
    const up = module === undefined ? undefined : masks.get(`${module}.up.weight`);
    if (up !== undefined) units[module!] = countUnits(mask, up);
  }
  return { matrices, units };
}

function countOnes({ data }: Tensor): number {
  let ones = 0;
  for (let i = 0; i < data.length; i++) if (data[i]) ones++;
  return ones;
}

/** Unit j is row j of down [r, inputs] and column j of up [outputs, r]. */
function countUnits(down: Tensor, up: Tensor): [alive: number, passing: number, of: number] {
  const rank = down.shape[0]!;
  const inputs = down.data.length / rank;
  const [enters, leaves] = [new Uint8Array(rank), new Uint8Array(rank)];
  for (let i = 0; i < down.data.length; i++) if (down.data[i]) enters[Math.floor(i / inputs)] = 1;
  for (let i = 0; i < up.data.length; i++) if (up.data[i]) leaves[i % rank] = 1;
  let [alive, passing] = [0, 0];
  for (let j = 0; j < rank; j++) {
    if (enters[j]! || leaves[j]!) alive++;
    if (enters[j]! && leaves[j]!) passing++;
  }
  return [alive, passing, rank];
}
