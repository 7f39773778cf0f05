import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const WORDS = [
  ...['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'],
  ...['the', 'cat', 'sat', 'dog', 'ran', '##s', '.', 'a'],
];

/** Writes a backbone's files as far as data needs them: a BERT vocabulary of a few words. */
export function writeVocabulary(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'vocab.txt'), `${WORDS.join('\n')}\n`);
  const config = { model_type: 'bert', max_position_embeddings: 64 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}
