/** Question answering and summarization: what every trainer that lists them gives and refuses. */
import { join } from 'node:path';
import { FailureReason, JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Pruner,
  ScoringHead,
  type Generation,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { float32Tensor, readSafetensors } from '../../orchestrator/datasets/safetensors';
import { lacking, testOf } from '../support/abilities';
import {
  artifactOnDisk,
  events,
  expectGapless,
  job,
  predict,
  PRUNE,
  refusal,
  results,
  run,
  states,
  submit,
  train,
  trial,
} from '../support/jobs';
import { describeStartedTrainer } from '../support/started-trainer';
import { GENERATION, QUESTIONS, SUMMARIES, makeTrials } from '../support/task-kinds';
import { BART } from '../support/tiny-bart';
import { VALIDATION_ROWS, writeTinyDataset } from '../support/tiny-dataset';

describe.each([QUESTIONS, SUMMARIES])('$name', (kind) => {
  const trials = makeTrials(kind, 50);

  describeStartedTrainer('by a trainer', (here) => {
    let path: string;
    let trained: Event[];
    const buildJob = (work: JobSpec['work'], some: Trial[] = trials) =>
      job(kind.dataset(here.place.root), some, work, path);
    const predicted = (splits: string[]) => buildJob(predict(splits, kind.generation));
    const tensors = (name: string) => readSafetensors(join(here.place.root, name));

    const testListed = (title: string, body: () => Promise<void> | void) =>
      testOf(trials, title, body, kind.taskKind);
    const lacks = lacking(trials, kind.taskKind).length > 0;

    beforeAll(async () => {
      path = kind.backbone(here.place.folder);
      if (lacks) return;
      await run(here.client, buildJob(PRUNE));
      trained = await events(here.client, await submit(here.client, buildJob(train())));
      await run(here.client, predicted(['validation']));
    });

    if (lacks) {
      test('is refused with the path of the field', async () => {
        const { code, fieldViolations } = await refusal(submit(here.client, buildJob(PRUNE)));
        expect(code).toBe('FAILED_PRECONDITION');
        expect(fieldViolations.map(({ field }) => field)).toContain('spec.dataset.task_kind');
      });
    }

    testListed('tells states, steps, metrics and one result a trial', () => {
      expectGapless(trained);
      expect(states(trained)).toEqual(['QUEUED', 'RUNNING', 'SUCCEEDED']);
      const metrics = trained.flatMap(({ kind: each }) =>
        each?.$case === 'metrics' ? each.value.metrics : [],
      );
      const losses = metrics.filter(({ name, trialId }) => name === 'loss' && trialId === 'second');
      expect(losses.map(({ step }) => step)).toEqual(
        Array.from({ length: 10 }, (_, i) => 5 * (i + 1)),
      );
      const mean = (some: typeof losses) =>
        some.reduce((sum, { value }) => sum + value, 0) / some.length;
      expect(mean(losses.slice(-3))).toBeLessThan(mean(losses.slice(0, 3)));
      expect(results(trained).get('first')!.values).toMatchObject({ steps: 20 });
      expect(results(trained).get('second')!.values).toMatchObject({ steps: 50 });
      for (const { artifacts } of results(trained).values())
        for (const artifact of artifacts)
          expect(artifactOnDisk(here.place.root, artifact.name)).toEqual(artifact);
    });

    testListed('ignores the head to score with where the pruner reads no rows', async () => {
      const byMagnitude = trial('by-magnitude', {
        prune: { ...trials[0].prune, pruner: Pruner.PRUNER_MAG, sparsity: 0.5 },
      });
      byMagnitude.prune!.scoringHead = ScoringHead.SCORING_HEAD_PRIOR;
      const found = await run(here.client, buildJob(PRUNE, [byMagnitude]));
      expect(found.get('by-magnitude')!.failure).toBeUndefined();
    });

    testListed(
      'keeps exactly floor((1 − sparsity) · n + 0.5) weights, the others 0, and a head of the kind',
      () => {
        for (const { trialId, prune } of trials) {
          const masks = tensors(`trials/${trialId}/masks.safetensors`);
          const adapter = tensors(`trials/${trialId}/adapter/adapter_model.safetensors`);
          for (const site of kind.sites) expect([...masks.keys()]).toContain(`${site}.down.weight`);
          const data = [...masks.values()].flatMap((mask) => Array.from(mask.data, Number));
          expect(data.filter((value) => value === 1)).toHaveLength(
            Math.floor((1 - prune!.sparsity) * data.length + 0.5),
          );
          for (const [name, mask] of masks) {
            const weights = float32Tensor(adapter, name);
            expect(weights.shape).toEqual(mask.shape);
            expect(weights.data.every((value, i) => mask.data[i] === 1 || value === 0)).toBe(true);
          }
          const head = [...adapter.keys()].filter((name) => name.startsWith('head.')).sort();
          expect(head).toEqual(kind === QUESTIONS ? ['head.out.bias', 'head.out.weight'] : []);
        }
      },
    );

    testListed('gives a trial of a cohort the weights of its lone run', async () => {
      const exact = (await here.client.getCapabilities()).environment.row_invariant === 'true';
      const lone = { ...trials[0], trialId: 'lone' };
      await run(here.client, buildJob(PRUNE, [lone]));
      await run(here.client, buildJob(train(), [lone]));
      const [alone, together] = ['lone', 'first'].map((id) =>
        tensors(`trials/${id}/adapter/adapter_model.safetensors`),
      );
      for (const name of together!.keys()) {
        const [a, b] = [float32Tensor(alone!, name).data, float32Tensor(together!, name).data];
        const apart = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
        expect({ name, equal: apart <= (exact ? 0 : 1e-3) }).toEqual({ name, equal: true });
      }
    });

    testListed('predicts every row of a split in its order', () => {
      const split = tensors(`${kind.dataset(here.place.root).name}/validation.safetensors`);
      const found = tensors('trials/second/predictions.validation.safetensors');
      if (kind === QUESTIONS) {
        expect([...found.keys()]).toEqual(['logits']);
        const logits = float32Tensor(found, 'logits');
        expect(logits.shape).toEqual([split.get('input_ids')!.data.length, 2]);
        expect(logits.data.every(Number.isFinite)).toBe(true);
        return;
      }
      expect([...found.keys()].sort()).toEqual(['generated_ids', 'generated_offsets']);
      const [ids, offsets] = [
        found.get('generated_ids')!.data,
        found.get('generated_offsets')!.data,
      ];
      expect([ids.constructor.name, offsets.constructor.name]).toEqual([
        'Int32Array',
        'BigInt64Array',
      ]);
      expect(offsets).toHaveLength(VALIDATION_ROWS + 1);
      expect([Number(offsets[0]), Number(offsets.at(-1))]).toEqual([0, ids.length]);
      for (let row = 0; row < VALIDATION_ROWS; row++) {
        const text = Array.from(ids.slice(Number(offsets[row]), Number(offsets[row + 1])), Number);
        const words = text.at(-1) === BART.end ? text.slice(0, -1) : text;
        expect(words.length).toBeGreaterThanOrEqual(GENERATION.minLength);
        expect(text.length).toBeLessThanOrEqual(GENERATION.maxLength);
        expect(
          words.every(
            (word) => word >= 0 && word < BART.words && word !== BART.padding && word !== BART.end,
          ),
        ).toBe(true);
        const triples = words.slice(2).map((_, i) => words.slice(i, i + 3).join());
        expect(new Set(triples).size).toBe(triples.length);
      }
    });

    testListed(
      'fails the job, with the name of the tensor, where the data set is of another kind',
      async () => {
        const dataset = {
          ...writeTinyDataset(here.place.root),
          taskKind: kind.taskKind,
          numLabels: kind === QUESTIONS ? 2 : 0,
        };
        const id = await submit(here.client, job(dataset, trials, PRUNE, path));
        expect(states(await events(here.client, id))).toEqual(['QUEUED', 'RUNNING', 'FAILED']);
        const { state, failure } = await here.client.getJob(id);
        expect([state, failure!.reason]).toEqual([
          JobState.JOB_STATE_FAILED,
          FailureReason.FAILURE_REASON_BAD_ARTIFACT,
        ]);
        expect(failure!.message).toContain(kind === QUESTIONS ? 'start_positions' : 'target_ids');
      },
    );

    describe('refuses with the path of the field', () => {
      const changed = (changes: Parameters<typeof trial>[1]) =>
        buildJob(PRUNE, [trials[0], trial('changed', changes)]);
      const generating = (changes: Partial<Generation>) =>
        buildJob(predict(['validation'], { ...GENERATION, ...changes }));
      const labels = (numLabels: number) => ({
        ...buildJob(PRUNE),
        dataset: { ...buildJob(PRUNE).dataset!, numLabels },
      });
      const cases: [string, string, () => JobSpec][] = [
        [
          'spec.trials[1].train.label_smoothing',
          'of 1',
          () => changed({ train: { labelSmoothing: 1 } }),
        ],
        [
          'spec.trials[1].train.label_smoothing',
          'below 0',
          () => changed({ train: { labelSmoothing: -0.1 } }),
        ],
        ['spec.dataset.num_labels', 'of 1', () => labels(1)],
      ];
      const ofSummaries: typeof cases = [
        ['spec.predict.generation.beams', 'of 0', () => generating({ beams: 0 })],
        [
          'spec.predict.generation.max_length',
          'of 0',
          () => generating({ minLength: 0, maxLength: 0 }),
        ],
        [
          'spec.predict.generation.min_length',
          'above max_length',
          () => generating({ minLength: 31 }),
        ],
        [
          'spec.predict.generation.length_penalty',
          'that is NaN',
          () => generating({ lengthPenalty: NaN }),
        ],
      ];
      test.each(kind === QUESTIONS ? cases : [...cases, ...ofSummaries])(
        '%s %s',
        async (field, _, spec) => {
          const error = await refusal(here.client.submitJob('refused', 'a'.repeat(64), spec()));
          expect(error.code).toBe('INVALID_ARGUMENT');
          expect(error.fieldViolations.map((violation) => violation.field)).toEqual([field]);
        },
      );

      if (kind === SUMMARIES) {
        test('spec.predict.generation that is missing', async () => {
          const error = await refusal(submit(here.client, buildJob(predict(['validation']))));
          expect(error.code).toBe('INVALID_ARGUMENT');
          expect(error.fieldViolations.length).toBeGreaterThan(0);
          for (const { field } of error.fieldViolations)
            expect(field).toMatch(/^spec\.predict\.generation\b/);
        });

        testListed(
          'spec.predict.generation.max_length beyond the positions of the backbone',
          async () => {
            const error = await refusal(
              submit(here.client, generating({ maxLength: BART.positions + 1 })),
            );
            expect(error.code).toBe('FAILED_PRECONDITION');
            expect(error.fieldViolations.map(({ field }) => field)).toEqual([
              'spec.predict.generation.max_length',
            ]);
          },
        );
      }

      testListed('spec.backbone.path of the other sort of backbone', async () => {
        const other = kind === QUESTIONS ? SUMMARIES : QUESTIONS;
        const error = await refusal(
          submit(here.client, {
            ...buildJob(PRUNE),
            backbone: { path: other.backbone(here.place.folder), digest: 'b'.repeat(64) },
          }),
        );
        expect(error.code).toBe('FAILED_PRECONDITION');
        expect(error.fieldViolations.map(({ field }) => field)).toEqual(['spec.backbone.path']);
      });
    });
  });
});
