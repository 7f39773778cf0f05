/**
 * Small documents with summaries, and a BART's files as far as they need them: a byte-level
 * vocabulary of letters.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PlannedBackbone } from '../../../../../orchestrator/sweep/types';
import { backbone } from '../../../support/plans';

/**
 * The vocabulary in the order of its ids; Ġ is a space and Ċ a line end, as byte-level BPE writes
 * them.
 */
export const LETTERS = [
  '<s>',
  '<pad>',
  '</s>',
  '<unk>',
  ...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,'.split(''),
  'Ġ',
  'Ċ',
];

/** Ids of a text's letters. */
export const toIds = (text: string) =>
  [...text.replaceAll(' ', 'Ġ').replaceAll('\n', 'Ċ')].map((letter) => LETTERS.indexOf(letter));

/** Writes what tokenizing needs of a model. */
export function writeBart(folder: string, positions = 64): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'vocab.json'),
    JSON.stringify(Object.fromEntries(LETTERS.map((letter, id) => [letter, id]))),
  );
  writeFileSync(join(folder, 'merges.txt'), '#version: 0.2\n');
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ model_type: 'bart', max_position_embeddings: positions }),
  );
}

/** A BART of small sizes, no two of which are equal. */
export function bart(path = '/models/bart'): PlannedBackbone {
  return {
    ...{
      ...backbone(),
      name: 'tiny-bart',
      path,
      model_type: 'bart',
      hidden_size: 5,
      intermediate_size: 7,
      num_layers: 2,
    },
    ...{
      decoder: { intermediate_size: 9, num_layers: 3 },
      vocab_size: 11,
      max_position_embeddings: 13,
      type_vocab_size: 0,
    },
  };
}
