import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { prepareDataset } from '../../../orchestrator/data/prepare';
import { joined, offsetsOf } from '../../../orchestrator/data/ragged';
import { resolveDatasets } from '../../../orchestrator/data/resolve-datasets';
import { encodeSafetensors } from '../../../orchestrator/data/safetensors';
import { evaluatePredictions } from '../../../orchestrator/metrics/evaluate';
import { planSweep } from '../../../orchestrator/sweep/plan';
import { bart, idsOf, writeBart } from '../support/summaries';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-evaluate-summaries-'));
const model = join(folder, 'model');
const root = join(folder, 'root');
afterAll(() => rmSync(folder, { recursive: true }));

/** A plan of one trial on two validation rows, of the second and third line of the file, and what writes its predictions. */
async function summaryTrial() {
  writeBart(model);
  writeFileSync(join(folder, 'train.csv'), 'document,summary\na mill burned,mill\n');
  writeFileSync(join(folder, 'validation.csv'), 'document,summary\n,none\na dog ran,the dog ran home\na cat sat,a cat\n');
  const config = sweepConfigFrom('t', { tasks: 'xsum', seeds: 1, max_length: 20, max_target_length: 20, generation: { max_length: 20 } });
  const backbone = bart(model);
  const datasets = await resolveDatasets(config, { dataDir: folder, env: {}, backbone });
  await prepareDataset(datasets[0]!, model, root);
  const plan = planSweep(config, { backbone, datasets, maxCohort: 1, profileReason: null });
  const trial = plan.trials[0]!;
  mkdirSync(join(root, 'trials', trial.id), { recursive: true });
  return {
    predict: (rows: number[][]) => {
      const tensors = { generated_ids: joined(rows), generated_offsets: offsetsOf(rows.map(({ length }) => length)) };
      writeFileSync(join(root, 'trials', trial.id, 'predictions.validation.safetensors'), encodeSafetensors(tensors));
    },
    evaluate: () => evaluatePredictions(root, plan, trial),
  };
}

test('summaries are the texts of what was generated, without special tokens, and have the mean ROUGE of all rows', async () => {
  const { predict, evaluate } = await summaryTrial();
  predict([
    [0, ...idsOf(' the dog sat home '), 2],
    [...idsOf('a cat'), 2],
  ]);
  const { metrics, warnings, lines } = evaluate();
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
  const { predict, evaluate } = await summaryTrial();
  predict([[0, 2], []]);
  expect(evaluate().warnings).toEqual(['empty_summaries: every summary of validation is empty']);
  predict([[0, 2], idsOf('a')]);
  expect(evaluate().warnings).toEqual([]);
});

test('predictions of another shape are named', async () => {
  const { predict, evaluate } = await summaryTrial();
  predict([[0, 2]]);
  expect(evaluate).toThrow(
    'predictions.validation.safetensors: generated_offsets has 2 values up to 2 for 2 tokens; 3 that end with the tokens',
  );
});

test('a tokenizer that changed since the sweep was planned is named: other texts would be read from the same tokens', async () => {
  const { predict, evaluate } = await summaryTrial();
  predict([[0, 2], []]);
  writeFileSync(join(model, 'merges.txt'), '#version: 0.2\na b\n');
  expect(evaluate).toThrow(`${model}: its tokenizer has changed since the sweep was planned`);
});
