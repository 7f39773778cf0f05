/** What is told of finished trials beside their metrics, from their files. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors, type Tensor } from '../../../orchestrator/datasets/safetensors';
import { measureOverlaps } from '../../../orchestrator/diagnostics/overlaps';
import { SweepDiagnostics } from '../../../orchestrator/diagnostics/trial-diagnostics';
import type { Plan, Trial } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-diagnostics-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const LABELS = [0, 0, 0, 1, 1];
/** Of those the first is taken for the other class, and the last has no prediction. */
const LOGITS = [0, 1, 1, 0, 1, 0, 0, 1, NaN, 0];

const mask = (shape: number[], ones: number[]): Tensor => ({
  shape,
  data: Uint8Array.from({ length: shape[0]! * shape[1]! }, (_, i) => (ones.includes(i) ? 1 : 0)),
});
const place = (folder: string, name: string, content: string | Uint8Array) => {
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, folder, name), content);
};

function writeLabels({ datasets }: Plan): void {
  const labels = { shape: [LABELS.length], data: Int32Array.from(LABELS) };
  place(`datasets/${datasets[0]!.digest}`, 'validation.safetensors', encodeSafetensors({ labels }));
}

function writeTrial({ id }: Trial, masks: Record<string, Tensor> = {}, losses = [0.7, 0.5]): void {
  const logits = { shape: [LABELS.length, 2], data: Float32Array.from(LOGITS) };
  const lines = losses.flatMap((value, i) => [
    { name: 'loss', step: i + 1, value },
    { name: 'grad_norm', step: i + 1, value },
  ]);
  const folder = `trials/${id}`;
  place(folder, 'predictions.validation.safetensors', encodeSafetensors({ logits }));
  place(folder, 'metrics.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  if (Object.keys(masks).length > 0) place(folder, 'masks.safetensors', encodeSafetensors(masks));
}

async function diagnose(plan: Plan, trials: readonly Trial[]) {
  const sweep = new SweepDiagnostics(root);
  await sweep.refresh(
    plan,
    trials.map((trial) => buildResult(plan, trial, { accuracy: 0.6 })),
  );
  return sweep.all;
}

/** Two units of three inputs and outputs; the second unit loses all that leads to it. */
const MASKS = {
  'layers.0.ffn.down.weight': mask([2, 3], [0, 1]),
  'layers.0.ffn.up.weight': mask([3, 2], [0, 1, 2]),
};

test('a trial tells which classes it confuses, its loss, and what its mask keeps', async () => {
  const plan = buildPlan();
  const snip = plan.trials.find(({ prune }) => prune.pruner === 'snip')!;
  writeLabels(plan);
  writeTrial(snip, MASKS);
  const found = (await diagnose(plan, [snip])).get(snip.id)!;
  expect(found).toEqual({
    format: 3,
    trial_id: snip.id,
    confusions: [
      {
        split: 'validation',
        labels: ['not_equivalent', 'equivalent'],
        counts: [
          [2, 1],
          [0, 1],
        ],
        without_prediction: [0, 1],
      },
    ],
    curves: { loss: { steps: [1, 2], values: [0.7, 0.5] } },
    mask: {
      matrices: { 'layers.0.ffn.down': [2, 6], 'layers.0.ffn.up': [3, 6] },
      units: { 'layers.0.ffn': [2, 1, 2] },
    },
  });
  const file = join(root, 'trials', snip.id, 'diagnostics.json');
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(found);
});

test('is made once, and read from its file after that', async () => {
  const plan = buildPlan();
  const [dense] = plan.trials as [Trial];
  writeLabels(plan);
  writeTrial(dense);
  const made = (await diagnose(plan, [dense])).get(dense.id)!;
  expect(made.mask).toBeNull();
  rmSync(join(root, 'datasets'), { recursive: true });
  rmSync(join(root, 'trials', dense.id, 'predictions.validation.safetensors'));
  expect((await diagnose(plan, [dense])).get(dense.id)).toEqual(made);
});

test('lacks what is no longer there, and long curves are thinned', async () => {
  const plan = buildPlan();
  const [dense] = plan.trials as [Trial];
  writeTrial(
    dense,
    {},
    Array.from({ length: 400 }, (_, i) => i),
  );
  const { confusions, curves } = (await diagnose(plan, [dense])).get(dense.id)!;
  expect(confusions).toEqual([]);
  expect(curves.loss!.steps).toHaveLength(40);
  expect([curves.loss!.steps[0], curves.loss!.values[0]]).toEqual([10, 4.5]);
});

test('masks of pruning during training are the last ones, beside the adapter', async () => {
  const plan = buildPlan();
  const snip = plan.trials.find(({ prune }) => prune.pruner === 'snip')!;
  writeLabels(plan);
  const all = Object.entries(MASKS).map(([name, { shape }]) => [
    name,
    mask(shape, [0, 1, 2, 3, 4, 5]),
  ]);
  writeTrial(snip, Object.fromEntries(all) as Record<string, Tensor>);
  place(`trials/${snip.id}/adapter`, 'masks.safetensors', encodeSafetensors(MASKS));
  const found = (await diagnose(plan, [snip])).get(snip.id)!;
  expect(found.mask!.units).toEqual({ 'layers.0.ffn': [2, 1, 2] });
});

test('broken files cost what they tell, not the report, and are read again later', async () => {
  const plan = buildPlan();
  const snip = plan.trials.find(({ prune }) => prune.pruner === 'snip')!;
  writeLabels(plan);
  writeTrial(snip, MASKS);
  const folder = `trials/${snip.id}`;
  for (const name of ['diagnostics.json', 'metrics.jsonl', 'masks.safetensors'])
    place(folder, name, '{"half');
  const broken = (await diagnose(plan, [snip])).get(snip.id)!;
  expect([broken.curves, broken.mask]).toEqual([{}, null]);
  expect(broken.confusions).toHaveLength(1);
  writeTrial(snip, MASKS);
  const mended = (await diagnose(plan, [snip])).get(snip.id)!;
  expect(mended.mask).not.toBeNull();
  expect(mended.curves).toHaveProperty('loss');
});

test('when time is over, the rest waits for the next report', async () => {
  const plan = buildPlan();
  const sweep = new SweepDiagnostics(root);
  const results = plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 0.6 }));
  await sweep.refresh(plan, results, Date.now() - 1);
  expect(sweep.all.size).toBe(0);
  await sweep.refresh(plan, results);
  expect(sweep.all.size).toBe(plan.trials.length);
});

describe('how masks overlap', () => {
  const plan = buildPlan({
    seeds: [1, 2],
    compare: [{ pruner: 'none' }, { pruner: ['rand', 'snip'], sparsity: [0.4, 0.8] }],
  });
  const at = (pruner: string, sparsity: number, seed: number): Trial =>
    plan.trials.find(
      (trial) =>
        trial.prune.pruner === pruner && trial.prune.sparsity === sparsity && trial.seed === seed,
    )!;
  const ids = new Set(plan.trials.map(({ id }) => id));

  test('is measured between seeds of a row, and between pruners at one sparsity', async () => {
    writeTrial(at('rand', 0.4, 1), { 'layers.0.up.weight': mask([6, 6], [0, 1, 2, 33]) });
    writeTrial(at('rand', 0.4, 2), { 'layers.0.up.weight': mask([6, 6], [1, 2, 3, 33]) });
    writeTrial(at('snip', 0.4, 1), { 'layers.0.up.weight': mask([6, 6], [0, 1, 2, 33]) });
    writeTrial(at('snip', 0.8, 1), { 'layers.0.up.weight': mask([6, 6], [5]) });
    const { overlaps: found } = await measureOverlaps(root, plan, ids);
    const by_chance = Number((4 / 9 / (8 - 4 / 9)).toPrecision(6));
    expect(found).toEqual([
      {
        ...{ format: 2, between: 'seeds' },
        first: at('rand', 0.4, 1).id,
        second: at('rand', 0.4, 2).id,
        jaccard: 0.6,
        by_chance,
      },
      {
        ...{ format: 2, between: 'pruners' },
        first: at('rand', 0.4, 1).id,
        second: at('snip', 0.4, 1).id,
        jaccard: 1,
        by_chance,
      },
    ]);
  });

  test('is by chance what masks with as many weights of each matrix have in common', async () => {
    const masks = (last: number) => ({
      'layers.0.down.weight': mask(
        [6, 6],
        Array.from({ length: 18 }, (_, i) => i),
      ),
      'layers.0.up.weight': mask([6, 6], [last]),
    });
    writeTrial(at('rand', 0.4, 1), masks(3));
    writeTrial(at('rand', 0.4, 2), masks(4));
    const { overlaps } = await measureOverlaps(root, plan, ids);
    const both = (18 * 18) / 36 + 1 / 36;
    expect(overlaps).toMatchObject([
      { jaccard: 0.9, by_chance: Number((both / (38 - both)).toPrecision(6)) },
    ]);
  });

  test('is left for the next time once the time is over', async () => {
    for (const seed of [1, 2]) writeTrial(at('rand', 0.4, seed), MASKS);
    const some = new Set([1, 2].map((seed) => at('rand', 0.4, seed).id));
    expect(await measureOverlaps(root, plan, some, Date.now() - 1)).toEqual({
      overlaps: [],
      left: [at('rand', 0.4, 1).id],
    });
  });

  test('is left out where a file is broken', async () => {
    for (const trial of [at('rand', 0.4, 1), at('rand', 0.4, 2)]) writeTrial(trial, MASKS);
    place(`trials/${at('rand', 0.4, 2).id}`, 'masks.safetensors', 'half');
    place(`sweeps/${plan.sweep_id}`, 'overlaps.jsonl', '{"half\n');
    expect(await measureOverlaps(root, plan, ids)).toEqual({ overlaps: [], left: [] });
  });

  test('is measured once, and adds what is new', async () => {
    writeTrial(at('rand', 0.4, 1), MASKS);
    writeTrial(at('rand', 0.4, 2), MASKS);
    const [first] = (await measureOverlaps(root, plan, ids)).overlaps;
    rmSync(join(root, 'trials', at('rand', 0.4, 2).id), { recursive: true });
    writeTrial(at('snip', 0.4, 1), MASKS);
    expect(existsSync(join(root, 'sweeps', plan.sweep_id, 'overlaps.jsonl'))).toBe(true);
    const { overlaps: found } = await measureOverlaps(root, plan, ids);
    expect(found).toHaveLength(2);
    expect(found[0]).toEqual(first);
  });
});
