/** What becomes of a cohort if files that one of its trials left cannot be used. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { writePlan } from '../../../../orchestrator/store/plan-store';
import { readResults } from '../../../../orchestrator/store/sweep-results';
import { writeStage } from '../../../../orchestrator/store/sweep-store';
import { evaluateTrials } from '../../../../workflows/activities/results';
import { plannedTrial, tinyPlan } from '../../support/tiny-plan';

const LABELS = [1, 0, 1];
const GOOD = encodeLogits(LABELS);

/** Logits of these classes. */
function encodeLogits(classes: readonly number[], name = 'logits'): Uint8Array {
  const data = Float32Array.from(classes.flatMap((label) => [1 - label, label]));
  return encodeSafetensors({ [name]: { shape: [classes.length, 2], data } });
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-broken-'));
  const labels = { shape: [LABELS.length], data: Int32Array.from(LABELS) };
  mkdirSync(join(root, 'datasets', 'mrpc-digest'), { recursive: true });
  writeFileSync(
    join(root, 'datasets', 'mrpc-digest', 'validation.safetensors'),
    encodeSafetensors({ labels }),
  );
});
afterEach(() => rmSync(root, { recursive: true }));

const fileOf = (id: string) => join(root, 'trials', id, 'predictions.validation.safetensors');

/** Writes a trial's predictions; null: none. `reported`: what its trainer wrote. */
async function leave(id: string, bytes: Uint8Array | null, reported = GOOD): Promise<void> {
  const artifacts = {
    [`trials/${id}/predictions.validation.safetensors`]: digest(reported),
    [`trials/${id}/adapter`]: 'of a folder',
  };
  await writeStage(root, id, 'predict', {
    ...{ values: {}, warnings: [], environments: [], cohort: 3 },
    artifacts,
  });
  if (bytes) writeFileSync(fileOf(id), bytes);
}

async function evaluate(ids: string[]) {
  const plan = tinyPlan(ids.map((id, i) => plannedTrial(id, { seed: i })));
  const planDigest = await writePlan(root, plan);
  const setup = { root, trainer: 'unix:/nowhere' };
  const input = {
    sweepId: plan.sweep_id,
    cohortId: 'c01-mrpc',
    planDigest,
    trials: ids,
    failed: {},
  };
  const outcome = await evaluateTrials(setup, input);
  return { outcome, results: await readResults(root, plan) };
}

const flipped = Uint8Array.from(GOOD, (byte, i) => (i === GOOD.length - 1 ? byte ^ 1 : byte));
const BROKEN: [string, Uint8Array | null, Uint8Array, RegExp][] = [
  ['missing', null, GOOD, /cannot be read: it does not exist$/],
  ['truncated', GOOD.subarray(0, -3), GOOD.subarray(0, -3), /is not a complete safetensors file/],
  ['empty', new Uint8Array(), new Uint8Array(), /is not a complete safetensors file/],
  ['changed since', flipped, GOOD, /has changed since its trainer wrote it \(SHA-256 /],
  ['of two rows', encodeLogits([0, 1]), encodeLogits([0, 1]), /has logits of shape \[2, 2\]; must/],
  ['of no logits', encodeLogits(LABELS, 'x'), encodeLogits(LABELS, 'x'), /no float32 tensor logi/],
];

test.each(BROKEN)(
  'a trial whose predictions are %s fails alone, with the file’s name',
  async (_, bytes, reported, says) => {
    for (const id of ['before', 'behind']) await leave(id, GOOD);
    await leave('broken', bytes, reported);
    const { outcome, results } = await evaluate(['before', 'broken', 'behind']);
    expect(outcome).toEqual({ done: 2, failed: 1, cancelled: 0 });
    const [before, broken, behind] = results;
    for (const neighbour of [before, behind])
      expect(neighbour).toMatchObject({ status: 'done', metrics: { accuracy: 1 } });
    expect(broken).toMatchObject({ status: 'failed', metrics: {} });
    expect(broken!.error).toMatch(says);
    expect(broken!.error).toContain(`bad_artifact: ${fileOf('broken')}`);
  },
);

test('a trial whose stage record is broken fails alone, with the file’s name', async () => {
  for (const id of ['good', 'broken']) await leave(id, GOOD);
  const path = join(root, 'trials', 'broken', 'stages', 'predict.json');
  writeFileSync(path, readFileSync(path, 'utf8').slice(0, 20));
  const { outcome, results } = await evaluate(['good', 'broken']);
  expect(outcome).toEqual({ done: 1, failed: 1, cancelled: 0 });
  expect(results[1]!.error).toContain(`bad_artifact: ${path}: is not complete JSON`);
});

test('predictions of an earlier version, whose digests nobody recorded, still count', async () => {
  await leave('old', GOOD);
  rmSync(join(root, 'trials', 'old', 'stages'), { recursive: true });
  expect((await evaluate(['old'])).outcome).toEqual({ done: 1, failed: 0, cancelled: 0 });
});

test('a fault that may pass is tried again, and keeps no other trial waiting', async () => {
  for (const id of ['first', 'stuck', 'last']) await leave(id, GOOD);
  // Its result cannot be written now: its name is taken by a directory.
  mkdirSync(join(root, 'trials', 'stuck', 'result.json', 'x'), { recursive: true });
  await expect(evaluate(['first', 'stuck', 'last'])).rejects.toMatchObject({ code: 'EISDIR' });
  rmSync(join(root, 'trials', 'stuck', 'result.json'), { recursive: true });
  expect((await readResults(root, tinyPlan([plannedTrial('last')])))[0]).toMatchObject({
    status: 'done',
  });
  expect((await evaluate(['first', 'stuck', 'last'])).outcome).toMatchObject({ done: 3 });
});

test('names what broke all trials of a cohort alike, but not what is a trial’s own', async () => {
  await leave('a1', null);
  await leave('b2', null);
  const { outcome } = await evaluate(['a1', 'b2']);
  expect(outcome).toMatchObject({ done: 0, failed: 2, failure: { reason: 'bad_artifact' } });
  const plan = tinyPlan();
  const nan = { reason: 'non_finite', message: 'loss is NaN at step 3' };
  const input = {
    ...{
      sweepId: plan.sweep_id,
      cohortId: 'c01-mrpc',
      planDigest: await writePlan(root, plan),
      trials: ['t1', 't2'],
    },
    failed: { t1: nan, t2: nan },
  };
  expect(await evaluateTrials({ root, trainer: 'unix:/nowhere' }, input)).toEqual({
    ...{ done: 0, failed: 2, cancelled: 0 },
  });
});
