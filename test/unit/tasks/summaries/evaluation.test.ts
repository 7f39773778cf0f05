import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toIds } from './support/summaries';
import { summaryTrial } from './support/trial';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-evaluate-summaries-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('summaries are the generated texts without special tokens, with a mean ROUGE', async () => {
  const { predict, evaluate } = await summaryTrial(folder);
  predict([
    [0, ...toIds(' the dog sat home '), 2],
    [...toIds('a cat'), 2],
  ]);
  const { metrics, warnings, lines } = await evaluate();
  expect(lines).toEqual({
    'summaries.validation.jsonl': [
      { row: 2, summary: 'the dog sat home' },
      { row: 3, summary: 'a cat' },
    ],
  });
  expect(Object.keys(metrics)).toEqual(['rouge2', 'rouge1', 'rougeL', 'rougeLsum']);
  // Of the first row three of four words and one of three pairs of words are right.
  expect(metrics.rouge1).toBeCloseTo((0.75 + 1) / 2, 12);
  expect(metrics.rouge2).toBeCloseTo((1 / 3 + 1) / 2, 12);
  expect(warnings).toEqual([]);
});

test('summaries that are all empty are degenerate; one alone is not', async () => {
  const { predict, evaluate } = await summaryTrial(folder);
  predict([[0, 2], []]);
  expect((await evaluate()).warnings).toEqual([
    'empty_summaries: every summary of validation is empty',
  ]);
  predict([[0, 2], toIds('a')]);
  expect((await evaluate()).warnings).toEqual([]);
});

test('predictions of another shape are named', async () => {
  const { predict, evaluate } = await summaryTrial(folder);
  predict([[0, 2]]);
  await expect(evaluate()).rejects.toThrow(
    'predictions.validation.safetensors: generated_offsets has 2 values up to 2 for 2 tokens; ' +
      'must have 3 that end with the tokens',
  );
});

test('a tokenizer that changed since planning is named: it would read other texts', async () => {
  const { model, predict, evaluate } = await summaryTrial(folder);
  predict([[0, 2], []]);
  writeFileSync(join(model, 'merges.txt'), '#version: 0.2\na b\n');
  await expect(evaluate()).rejects.toThrow(
    `${model}: its tokenizer has changed since the sweep was planned`,
  );
});
