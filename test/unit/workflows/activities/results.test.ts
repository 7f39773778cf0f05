import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePlan } from '../../../../orchestrator/store/plan-store';
import { readDoneResult, readResult, writeStage } from '../../../../orchestrator/store/sweep-store';
import type { PruneConfig, TrialResult } from '../../../../orchestrator/sweep/types';
import { evaluateTrials } from '../../../../workflows/activities/results';
import { backbone, countSizes, dataset, prune } from '../../support/plans';
import { questionTrial } from '../../tasks/questions/support/trial';
import { NOBODY, WHO } from '../../tasks/questions/support/questions';
import { toIds } from '../../tasks/summaries/support/summaries';
import { summaryTrial } from '../../tasks/summaries/support/trial';
import { plannedTrial, tinyPlan } from '../../support/tiny-plan';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-results-'));
afterAll(() => rmSync(root, { recursive: true }));

/**
 * The result of a trial whose jobs reported these numbers. It came to grief in the end, so that no
 * predictions are needed.
 */
async function buildResult(
  change: Partial<PruneConfig>,
  values: { prune: Record<string, number>; train: Record<string, number> },
) {
  const trial = plannedTrial('t1', {
    prune: prune({ pruner: 'snip', sparsity: 0.4, scoring_rows: 128, ...change }),
  });
  const plan = tinyPlan([trial]);
  const planDigest = await writePlan(root, plan);
  for (const work of ['prune', 'train'] as const) {
    await writeStage(root, trial.id, work, {
      values: values[work],
      warnings: [],
      environments: [],
      cohort: 1,
    });
  }
  const setup = { root } as Parameters<typeof evaluateTrials>[0];
  const failed = { [trial.id]: { reason: 'non_finite', message: 'loss is NaN' } };
  await evaluateTrials(setup, {
    sweepId: plan.sweep_id,
    cohortId: plan.cohorts[0]!.id,
    planDigest,
    trials: [trial.id],
    failed,
  });
  return {
    result: (await readResult(root, plan.sweep_id, trial.id)) as TrialResult,
    planned: countSizes(trial.adapter, trial.prune, backbone(), dataset('mrpc')),
  };
}

const PRUNED = { achieved_sparsity: 0, kept: 604_416, prunable: 442_368 };
const TRAINED = { achieved_sparsity: 0.4, kept: 300_000, prunable: 442_368 };

describe('what a mask came to', () => {
  test('is told by the job that pruned, where pruning was at initialization', async () => {
    const { result, planned } = await buildResult(
      { rules: 'official' },
      { prune: PRUNED, train: { steps: 9 } },
    );
    expect(result).toMatchObject({
      achieved_sparsity: 0,
      budget: { ...planned, kept: 604_416 },
      train: { steps: 9 },
    });
  });

  test('is told by the job that trained, where pruning was during training', async () => {
    const { result, planned } = await buildResult(
      { every_steps: 7, rounds: 2 },
      { prune: PRUNED, train: TRAINED },
    );
    expect(result).toMatchObject({ achieved_sparsity: 0.4, budget: { ...planned, kept: 300_000 } });
  });

  test('is as planned, and unknown, where a trial came to no mask', async () => {
    const { result, planned } = await buildResult(
      { every_steps: 7, rounds: 2 },
      { prune: PRUNED, train: {} },
    );
    expect(result).toMatchObject({ achieved_sparsity: null, budget: planned });
  });
});

test('a question trial leaves answers by its predictions, a threshold in its result', async () => {
  const {
    root: ofQuestions,
    plan,
    trial,
    predict,
  } = await questionTrial(root, 'squad_v2', [WHO, NOBODY]);
  predict([
    { span: [0, 1], none: 6 },
    { span: [0, 1], none: 7 },
  ]);
  const planDigest = await writePlan(ofQuestions, plan);
  const setup = { root: ofQuestions } as Parameters<typeof evaluateTrials>[0];
  await evaluateTrials(setup, {
    sweepId: plan.sweep_id,
    cohortId: plan.cohorts[0]!.id,
    planDigest,
    trials: [trial.id],
    failed: {},
  });
  const read = (name: string) =>
    JSON.parse(readFileSync(join(ofQuestions, 'trials', trial.id, name), 'utf8')) as unknown;
  expect(read('answers.validation.json')).toEqual({ q0: '', q1: '' });
  expect(read('spans.validation.json')).toEqual({ q0: 'The cat', q1: 'The cat' });
  expect(read('no_answer.validation.json')).toEqual({ q0: 2, q1: 4 });
  expect(await readDoneResult(ofQuestions, trial.id)).toMatchObject({
    status: 'done',
    metrics: { f1: 0.5, best_f1: 1 },
    thresholds: { best_f1: 2 },
    budget: { head: 2 * 384 + 2 },
  });
});

test('a summary trial leaves a summary per line beside its predictions, and no head', async () => {
  const { root: ofSummaries, plan, trial, predict } = await summaryTrial(root);
  predict([[...toIds('the dog ran home'), 2], [2]]);
  const planDigest = await writePlan(ofSummaries, plan);
  const setup = { root: ofSummaries } as Parameters<typeof evaluateTrials>[0];
  await evaluateTrials(setup, {
    sweepId: plan.sweep_id,
    cohortId: plan.cohorts[0]!.id,
    planDigest,
    trials: [trial.id],
    failed: {},
  });
  expect(
    readFileSync(join(ofSummaries, 'trials', trial.id, 'summaries.validation.jsonl'), 'utf8'),
  ).toBe('{"row":2,"summary":"the dog ran home"}\n{"row":3,"summary":""}\n');
  expect(await readDoneResult(ofSummaries, trial.id)).toMatchObject({
    status: 'done',
    metrics: { rouge2: 0.5, rouge1: 0.5, rougeL: 0.5, rougeLsum: 0.5 },
    budget: { head: 0 },
  });
});

test('a finished result is not made again: an attempt resumes where the last ended', async () => {
  const {
    root: ofQuestions,
    plan,
    trial,
    predict,
    write,
  } = await questionTrial(root, 'squad', [WHO]);
  predict([{ span: [0, 1] }]);
  const setup = { root: ofQuestions } as Parameters<typeof evaluateTrials>[0];
  const input = {
    sweepId: plan.sweep_id,
    cohortId: plan.cohorts[0]!.id,
    planDigest: await writePlan(ofQuestions, plan),
    trials: [trial.id],
  };
  const cancelled = { [trial.id]: { reason: 'cancelled', message: 'by somebody' } };
  expect(await evaluateTrials(setup, { ...input, failed: cancelled })).toMatchObject({
    cancelled: 1,
  });
  expect(await evaluateTrials(setup, { ...input, failed: {} })).toMatchObject({ done: 1 });
  write([1, 1], new Float32Array(1));
  expect(await evaluateTrials(setup, { ...input, failed: {} })).toMatchObject({ done: 1 });
});
