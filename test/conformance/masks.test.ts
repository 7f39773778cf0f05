/** What masks remove together, by whose rules, and when. */
import { join } from 'node:path';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  AdapterInit,
  MaskRules,
  MaskStructure,
  PruneSchedule,
  PruneScope,
  Pruner,
  ScoringHead,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { float32Tensor, readSafetensors } from '../../orchestrator/datasets/safetensors';
import { testOf } from '../support/abilities';
import { events, job, PRUNE, results, run, submit, train, trial } from '../support/jobs';
import { describeStartedTrainer } from '../support/started-trainer';

const LAYERS = 6;
/** Groups of four divide them. */
const WIDTHS = { attentionBottleneck: 8, ffnBottleneck: 4 };

const pruned = (
  id: string,
  prune: Partial<Trial['prune']>,
  adapter: Partial<Trial['adapter']> = {},
) => trial(id, { adapter: { ...WIDTHS, ...adapter }, prune });
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describeStartedTrainer('the masks of a trainer', (here) => {
  const masksIn = (file: string) =>
    new Map(
      [...readSafetensors(join(here.place.root, file))].map(([name, { shape, data }]) => [
        name,
        { shape, kept: Array.from(data, Number) },
      ]),
    );
  const readMasks = (id: string) => masksIn(`trials/${id}/masks.safetensors`);

  const group = {
    structure: MaskStructure.MASK_STRUCTURE_N_M,
    groupSize: 4,
    groupKept: 1,
    sparsity: 0.75,
  };
  const grouped = [Pruner.PRUNER_MAG, Pruner.PRUNER_SNIP, Pruner.PRUNER_RAND].map((pruner, i) =>
    pruned(`groups-${i}`, { ...group, scope: PruneScope.PRUNE_SCOPE_LOCAL, pruner }),
  );
  testOf(grouped, 'keep N of each M neighbours of a row, where groups are asked for', async () => {
    await run(here.client, job(here.dataset, grouped, PRUNE));
    for (const { trialId } of grouped) {
      for (const [name, { kept }] of readMasks(trialId)) {
        const groups = Array.from({ length: kept.length / 4 }, (_, g) =>
          sum(kept.slice(4 * g, 4 * g + 4)),
        );
        expect({ name, counts: [...new Set(groups)] }).toEqual({ name, counts: [1] });
      }
    }
  });

  const unitwise = pruned('units', {
    structure: MaskStructure.MASK_STRUCTURE_UNITS,
    pruner: Pruner.PRUNER_SNIP,
    sparsity: 0.5,
  });
  testOf(
    [unitwise],
    'keep or remove a bottleneck unit as a whole, a row of down with its column of up',
    async () => {
      await run(here.client, job(here.dataset, [unitwise], PRUNE));
      const masks = readMasks('units');
      let units = 0;
      for (const [name, down] of masks) {
        if (!name.endsWith('down.weight')) continue;
        const up = masks.get(name.replace('down', 'up'))!;
        const [r, d] = down.shape as [number, number];
        for (let unit = 0; unit < r; unit++) {
          const row = sum(down.kept.slice(unit * d, (unit + 1) * d));
          const column = sum(up.kept.filter((_, i) => i % r === unit));
          expect([0, d]).toContain(row);
          expect(column).toBe(row);
          units += row / d;
        }
      }
      expect(units).toBe((LAYERS * (WIDTHS.attentionBottleneck + WIDTHS.ffnBottleneck)) / 2);
    },
  );

  const nested = [0.3, 0.6, 0.9].map((sparsity) =>
    pruned(`nested-${sparsity * 10}`, { sparsity, pruner: Pruner.PRUNER_SNIP }),
  );
  testOf(
    nested,
    'of later jobs that ask for more sparsity are within those of earlier ones, as all have the ' +
      'same scores',
    async () => {
      for (const each of nested) {
        const told = await events(
          here.client,
          await submit(here.client, job(here.dataset, [each], PRUNE)),
        );
        expect(results(told).get(each.trialId)!.failure).toBeUndefined();
        const scored = told.flatMap(({ kind }) =>
          kind?.$case === 'progress' && kind.value.phase === Phase.PHASE_SCORE ? [kind.value] : [],
        );
        const { done, total, resumed } = scored.at(-1)!;
        expect(done).toBe(total);
        expect(resumed).toBeLessThanOrEqual(done);
      }
      const [most, , least] = nested.map(({ trialId }) => readMasks(trialId));
      for (const [name, { kept }] of least!)
        expect(kept.every((value, i) => value <= most!.get(name)!.kept[i]!)).toBe(true);
    },
  );

  const warmedUp = [1, 40].map((scoringHeadSteps) =>
    pruned(`warmed-up-${scoringHeadSteps}`, {
      ...{ pruner: Pruner.PRUNER_SNIP, sparsity: 0.5, scoringHeadSteps },
      scoringHead: ScoringHead.SCORING_HEAD_WARMED_UP,
    }),
  );
  testOf(
    warmedUp,
    'of later jobs go by a head of their own number of steps, not by an earlier one',
    async () => {
      for (const each of warmedUp) await run(here.client, job(here.dataset, [each], PRUNE));
      const [one, many] = warmedUp.map(({ trialId }) => readMasks(trialId));
      const isOther = [...one!].some(([name, { kept }]) =>
        kept.some((value, i) => value !== many!.get(name)!.kept[i]),
      );
      expect(isOther).toBe(true);
    },
  );

  const official = { rules: MaskRules.MASK_RULES_OFFICIAL, sparsity: 0.3 };
  const byOfficialRules = [
    pruned(
      'official-mag',
      { ...official, pruner: Pruner.PRUNER_MAG },
      { init: AdapterInit.ADAPTER_INIT_ZERO_UP },
    ),
    pruned('official-synflow', { ...official, pruner: Pruner.PRUNER_SYNFLOW }),
  ];
  testOf(
    byOfficialRules,
    "cut equal scores together by the published code's rules, and fail no trial",
    async () => {
      const found = await run(here.client, job(here.dataset, byOfficialRules, PRUNE));
      expect([...found.values()].map(({ failure }) => failure)).toEqual([undefined, undefined]);
      // All of up is 0, which is half of the weights: more than is asked for goes.
      for (const [name, { kept }] of readMasks('official-mag')) {
        expect({ name, kept: sum(kept) }).toEqual({
          name,
          kept: name.endsWith('up.weight') ? 0 : kept.length,
        });
      }
      // The norm before a module makes 0 of a constant input.
      for (const [name, { kept }] of readMasks('official-synflow'))
        expect({ name, kept: sum(kept) }).toEqual({ name, kept: 0 });
    },
  );

  const rounds = {
    rounds: 3,
    schedule: PruneSchedule.PRUNE_SCHEDULE_LINEAR,
    beginStep: 4,
    everySteps: 5,
  };
  const each = pruned('progressive', { ...rounds, pruner: Pruner.PRUNER_MAG, sparsity: 0.6 });
  testOf(
    [each],
    'shrink by the schedule where pruning is during training, and what they remove ends as 0',
    async () => {
      await run(here.client, job(here.dataset, [each], PRUNE));
      for (const { kept } of readMasks('progressive').values()) expect(sum(kept)).toBe(kept.length);
      const told = await events(
        here.client,
        await submit(here.client, job(here.dataset, [each], train({ checkpointEverySteps: 7 }))),
      );
      const metrics = told.flatMap(({ kind }) =>
        kind?.$case === 'metrics' ? kind.value.metrics : [],
      );
      const densities = metrics
        .filter(({ name }) => name === 'density')
        .map(({ step, value }) => [step, Number(value.toFixed(3))]);
      expect(densities).toEqual([
        [5, 0.8],
        [10, 0.6],
        [15, 0.4],
      ]);
      const stored = readSafetensors(
        join(here.place.root, 'trials/progressive/adapter/adapter_model.safetensors'),
      );
      let [kept, prunable] = [0, 0];
      for (const [name, mask] of masksIn('trials/progressive/adapter/masks.safetensors')) {
        const weights = float32Tensor(stored, name).data;
        expect(mask.kept.every((value, i) => value === 1 || weights[i] === 0)).toBe(true);
        kept += sum(mask.kept);
        prunable += mask.kept.length;
      }
      expect(kept).toBe(Math.floor(0.4 * prunable + 0.5));
      expect(results(told).get('progressive')!.values).toMatchObject({
        prunable,
        achieved_sparsity: 1 - kept / prunable,
      });
    },
  );
});
