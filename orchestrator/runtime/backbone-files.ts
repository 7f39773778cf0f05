/**
 * Describes a Hugging Face directory: which files matter, how large the model is, and its digest.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findOddity, readIfThere } from '../../common/files';
import { UserError } from '../base/errors';
import type { PlannedBackbone } from '../sweep/types';
import { backboneSizes, tensorLayout } from './backbone-config';
import { digestFiles } from './backbone-digest';
import { checkVocabulary, isTokenizerFile } from './backbone-tokenizer';
import { checkWeights, isWeightsFile } from './backbone-weights';

/**
 * Whether results depend on a file with this name: configuration, weights and tokenizer, but not
 * readmes or other frameworks' weights.
 */
export function isBackboneFile(name: string): boolean {
  return name === 'config.json' || isWeightsFile(name) || isTokenizerFile(name);
}

/**
 * Reads a directory, except the values of its weights.
 *
 * @throws UserError (exit 2) naming the file that is missing or wrong
 */
export async function describeBackbone(name: string, path: string): Promise<PlannedBackbone> {
  const files = readdirSync(path).filter(isBackboneFile).sort();
  for (const each of files) {
    const oddity = findOddity(join(path, each));
    if (oddity !== undefined) throw new UserError(`${join(path, each)} ${oddity}`, 2);
  }
  const file = join(path, 'config.json');
  const config = readConfig(path, file);
  const sizes = backboneSizes(file, config);
  const weights = checkWeights(path, tensorLayout(sizes, config));
  checkVocabulary(path, sizes.vocab_size);
  return { name, path, digest: await digestFiles(path, files), ...sizes, weights };
}

function readConfig(path: string, file: string): unknown {
  const content = readIfThere(file);
  if (content === undefined)
    throw new UserError(
      `${path} has no config.json, so it is not a Hugging Face model directory`,
      2,
    );
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new UserError(`${file} is not JSON: ${(error as Error).message}`, 2);
  }
}
