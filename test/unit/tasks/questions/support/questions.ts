/**
 * Small questions, and a backbone's files as far as they need them: a BERT vocabulary of a few
 * words.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const WORDS =
  '[PAD] [UNK] [CLS] [SEP] [MASK] who when sat ran ? . the cat dog a on monday friday'.split(' ');

/** Writes what tokenizing needs of a model. */
export function writeModel(folder: string, positions = 64): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'vocab.txt'), `${WORDS.join('\n')}\n`);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ model_type: 'bert', max_position_embeddings: positions }),
  );
}

export const CONTEXT = 'The cat sat on Monday. A dog ran on Friday.';
export interface Asked {
  question: string;
  /** The context's first such text; null: v2.0's question without an answer. */
  answer: string | null;
}

export const WHO: Asked = { question: 'Who sat?', answer: 'The cat' };
export const WHEN: Asked = { question: 'When ran the dog?', answer: 'Friday' };
export const NOBODY: Asked = { question: 'When ran the cat?', answer: null };

/** A document in SQuAD's JSON: questions about CONTEXT with ids q0, q1, …. */
export function squadJson(asked: readonly Asked[], context = CONTEXT): string {
  const qas = asked.map(({ question, answer }, i) => ({
    id: `q${i}`,
    question,
    answers: answer === null ? [] : [{ text: answer, answer_start: context.indexOf(answer) }],
    ...(answer === null ? { is_impossible: true } : {}),
  }));
  return JSON.stringify({
    version: '2.0',
    data: [{ title: 'Pets', paragraphs: [{ context, qas }] }],
  });
}
