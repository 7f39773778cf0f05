/** What may be removed under an artifact root, and what stays. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readNeeds } from '../../../orchestrator/store/needs';
import { removeUnneeded } from '../../../orchestrator/store/remove-unneeded';
import { findUnneeded } from '../../../orchestrator/store/unneeded';
import { writePlan } from '../../../orchestrator/store/plan-store';
import type { Plan } from '../../../orchestrator/sweep/types';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

const HOUR = 3_600_000;

describe('an artifact root', () => {
  let root: string;
  const write = (name: string, text = 'x') => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  };
  /** Files of a trial, with the status of its result; null: it has none. */
  const writeTrial = (id: string, status: string | null) => {
    write(`trials/${id}/adapter/adapter_model.safetensors`);
    write(`trials/${id}/masks.safetensors`);
    write(`trials/${id}/checkpoints/step-9/state.safetensors`, 'x'.repeat(1000));
    write(`trials/${id}/predictions.validation.safetensors`, 'x'.repeat(10));
    write(`trials/${id}/answers.validation.json`);
    if (status !== null) write(`trials/${id}/result.json`, JSON.stringify({ status }));
  };
  const plan: Plan = {
    ...tinyPlan([plannedTrial('t1'), plannedTrial('t2'), plannedTrial('t3')]),
    datasets: [{ ...tinyPlan().datasets[0]!, digest: 'used' }],
  };
  const find = async (
    { sweep = null, before = Infinity }: { sweep?: string | null; before?: number } = {},
    now = Date.now(),
  ) => {
    const found = await findUnneeded(root, await readNeeds(root), { sweep, before }, now);
    return found.map(({ path, bytes }) => [path.slice(root.length + 1), bytes] as const);
  };

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'sa-orch-unneeded-'));
    await writePlan(root, plan);
    writeTrial('t1', 'done');
    writeTrial('t2', 'failed');
    writeTrial('t3', null);
    writeTrial('t9', null);
    write('datasets/used/dataset.json');
    write('datasets/unused/dataset.json', 'x'.repeat(5));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test('gives up what came from elsewhere once it has not changed for a week', async () => {
    const isOver = (name: string) => /^(datasets|backbones|trials\/t9)/.test(name);
    write(`backbones/${tinyPlan().backbone.digest}/config.json`);
    write('backbones/other/config.json', 'xx');
    write('trials/t1/config.json');
    expect((await find()).map(([name]) => name)).toContain('backbones/other');
    write('.uploads/x');
    expect((await find()).map(([name]) => name).filter(isOver)).toEqual([]);
    const later = await find({}, Date.now() + 8 * 24 * HOUR);
    expect(later.map(([name]) => name).filter(isOver)).toEqual([
      'trials/t9',
      'datasets/unused',
      'backbones/other',
    ]);
  });

  test('gives up checkpoints of done trials, and what no sweep needs; results stay', async () => {
    expect(await find()).toEqual([
      ['trials/t1/checkpoints', 1000],
      ['trials/t1/predictions.validation.safetensors', 10],
      ['trials/t9/predictions.validation.safetensors', 10],
      ['datasets/unused', 5],
    ]);
  });

  test('gives up the rungs of a done trial, but not what was measured there', async () => {
    for (const id of ['t1', 't2']) {
      write(`trials/${id}/rungs/step7.json`);
      write(`trials/${id}/rungs/step-7/adapter/adapter_model.safetensors`, 'x'.repeat(20));
    }
    expect((await find()).filter(([path]) => path.includes('rungs'))).toEqual([
      ['trials/t1/rungs/step-7', 20],
    ]);
  });

  test('gives up only a sweep’s own, and only what is old enough, if that is asked', async () => {
    expect(await find({ sweep: plan.sweep_id })).toEqual([
      ['trials/t1/checkpoints', 1000],
      ['trials/t1/predictions.validation.safetensors', 10],
    ]);
    const old = new Date(Date.now() - 10 * HOUR);
    utimesSync(join(root, 'trials/t1/predictions.validation.safetensors'), old, old);
    expect(await find({ before: Date.now() - 9 * HOUR })).toEqual([
      ['trials/t1/predictions.validation.safetensors', 10],
    ]);
  });

  test('keeps everything of a trial without its adapter, and of an unreadable result', async () => {
    rmSync(join(root, 'trials/t1/adapter'), { recursive: true });
    write('trials/t9/result.json', '{"status": "do');
    expect((await find()).map(([path]) => path)).toEqual([
      'trials/t9/predictions.validation.safetensors',
      'datasets/unused',
    ]);
  });

  test('gives up what killed processes left, an hour after they last wrote to it', async () => {
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    write(`trials/t2/checkpoints/.step-10.${uuid}/state.safetensors`, 'x'.repeat(7));
    write(`sweeps/.plan.json.0123abcd-77-b0075_1.89abcdef`, 'x'.repeat(3));
    write('.root-id');
    const isLeftover = ([path]: readonly [string, number]) => path.includes('/.');
    expect((await find()).filter(isLeftover)).toEqual([]);
    expect((await find({}, Date.now() + 2 * HOUR)).filter(isLeftover)).toEqual([
      ['sweeps/.plan.json.0123abcd-77-b0075_1.89abcdef', 3],
      [`trials/t2/checkpoints/.step-10.${uuid}`, 7],
    ]);
  });

  test('is not judged if a plan cannot be read: its sweep may need anything', async () => {
    write('sweeps/odd/plan.json', '{"tri');
    await expect(find()).rejects.toThrow('sweeps/odd/plan.json: cannot be read as a plan');
  });

  test('loses each thing whole; a data set that a sweep came to need stays', async () => {
    const found = await findUnneeded(
      root,
      await readNeeds(root),
      { sweep: null, before: Infinity },
      Date.now(),
    );
    const later = { ...plan, sweep_id: 'later-00000000' };
    await writePlan(root, { ...later, datasets: [{ ...plan.datasets[0]!, digest: 'unused' }] });
    const removed: boolean[] = [];
    for (const item of found) removed.push(await removeUnneeded(root, item));
    expect(removed).toEqual([true, true, true, false]);
    expect(readdirSync(join(root, 'datasets')).sort()).toEqual(['unused', 'used']);
    expect(readdirSync(join(root, 'trials/t1')).sort()).toEqual([
      ...['adapter', 'answers.validation.json', 'config.json', 'masks.safetensors', 'result.json'],
    ]);
    // Removing again changes nothing.
    expect(await removeUnneeded(root, found[0]!)).toBe(true);
  });
});
