/** A backbone's weights, as the headers of their files describe them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '../../common/files';
import { elements } from '../../common/safetensors';
import { UserError } from '../base/errors';
import { findWrongTensor, type Layout } from './backbone-tensors';
import { readHeader, type TensorHeader } from './safetensors-header';

const INDEX = 'model.safetensors.index.json';
const SHARD = /^model(-\d+-of-\d+)?\.safetensors$/;

/** Whether a file with this name has weights, or says which files have them. */
export const isWeightsFile = (name: string): boolean => name === INDEX || SHARD.test(name);

/**
 * Counts the weights, after checking that all files are there and whole and that each tensor has
 * the shape that config.json says.
 *
 * @param folder the Hugging Face directory
 * @throws UserError (exit 2) that names the file, and the tensor if it is one
 */
export function checkWeights(folder: string, layout: Layout): number {
  const tensors = new Map<string, TensorHeader & { file: string }>();
  for (const name of listWeightFiles(folder)) {
    const file = join(folder, name);
    for (const [tensor, header] of readHeader(file)) tensors.set(tensor, { ...header, file });
  }
  if (tensors.size === 0) throw new UserError(`${folder} has weights without a single tensor`, 2);
  checkIndex(folder, tensors);
  const wrong = findWrongTensor(tensors, layout);
  if (wrong !== undefined) {
    const where = wrong.file ?? join(folder, listWeightFiles(folder)[0]!);
    throw new UserError(`${where}: ${wrong.message}`, 2);
  }
  return [...tensors.values()].reduce((sum, { shape }) => sum + elements(shape), 0);
}

/** The files from which trainers read weights: one, or those that the index names. */
export function listWeightFiles(folder: string): string[] {
  if (existsSync(join(folder, 'model.safetensors'))) return ['model.safetensors'];
  const files = [...new Set(Object.values(readIndex(folder)))].sort();
  for (const name of files) {
    if (!SHARD.test(name))
      throw new UserError(
        `${join(folder, INDEX)} names ${JSON.stringify(name)}; ` +
          'the files of weights must be called like model-00001-of-00002.safetensors',
        2,
      );
    if (!existsSync(join(folder, name)))
      throw new UserError(`${join(folder, name)} is missing, but ${INDEX} names it`, 2);
  }
  return files;
}

/** Which file has each tensor. */
function readIndex(folder: string): Record<string, string> {
  const file = join(folder, INDEX);
  const content = readIfThere(file);
  if (content === undefined)
    throw new UserError(
      `${folder} has no model.safetensors`,
      2,
      'Weights are read only from safetensors: save the model once with save_pretrained().',
    );
  try {
    const { weight_map } = JSON.parse(content) as { weight_map: Record<string, string> };
    if (Object.values(weight_map).every((name) => typeof name === 'string')) return weight_map;
  } catch {
    // Whatever it is, it has no weight_map.
  }
  throw new UserError(`${file} is not an index: it must be JSON with a weight_map`, 2);
}

/** Checks that the files have the tensors that the index promises. */
function checkIndex(folder: string, tensors: ReadonlyMap<string, { file: string }>): void {
  if (existsSync(join(folder, 'model.safetensors'))) return;
  for (const [tensor, name] of Object.entries(readIndex(folder))) {
    if (tensors.get(tensor)?.file !== join(folder, name))
      throw new UserError(
        `${join(folder, name)} has no tensor ${tensor}, but ${INDEX} says that it has`,
        2,
      );
  }
}
