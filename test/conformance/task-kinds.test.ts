/**
 * Question answering and summarization: what every trainer that lists them gives, refuses, and
 * keeps when it is killed.
 */
import { join } from 'node:path';
import {
  FailureReason,
  JobState,
  Phase,
  type Event,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Pruner,
  TaskKind,
  type Dataset,
  type Generation,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { float32Tensor, readSafetensors } from '../../orchestrator/datasets/safetensors';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import { lacking, testOf } from '../support/abilities';
import {
  artifactOnDisk,
  checkpointAt,
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
import { BART, writeTinyBart } from '../support/tiny-bart';
import {
  VALIDATION_ROWS,
  writeTinyDataset,
  writeTinyQuestions,
  writeTinySummaries,
} from '../support/tiny-dataset';
import { TrainerPlace } from '../support/trainer-process';

const GENERATION: Generation = {
  beams: 6,
  minLength: 20,
  maxLength: 30,
  noRepeatNgram: 3,
  lengthPenalty: 1,
};

/**
 * A kind of task: its data set under a root, the backbone for it, how it predicts, and what its
 * trials' settings are.
 */
interface Kind {
  name: string;
  taskKind: TaskKind;
  dataset(root: string): Dataset;
  backbone(folder: string): string;
  generation?: Generation;
  labelSmoothing: number;
  /** Some of those that have prunable matrices. */
  sites: string[];
}

const QUESTIONS: Kind = {
  name: 'question answering',
  taskKind: TaskKind.TASK_KIND_QUESTION_ANSWERING,
  dataset: writeTinyQuestions,
  backbone: () => process.env.SA_ORCH_TEST_BACKBONE!,
  labelSmoothing: 0,
  sites: ['layers.0.attention', 'layers.5.ffn'],
};
const SUMMARIES: Kind = {
  name: 'summarization',
  taskKind: TaskKind.TASK_KIND_SUMMARIZATION,
  dataset: writeTinySummaries,
  backbone: (folder) => writeTinyBart(join(folder, 'bart')),
  generation: GENERATION,
  labelSmoothing: 0.1,
  sites: ['encoder.layers.0.attention', 'decoder.layers.1.cross_attention', 'decoder.layers.1.ffn'],
};

/**
 * Two trials that differ in all that may differ in a cohort. The second is long enough to be killed
 * in the middle.
 */
const trialsOf = ({ labelSmoothing }: Kind): [Trial, Trial] => [
  trial('first', { prune: { sparsity: 0.8 }, train: { labelSmoothing, totalSteps: 20 } }),
  trial('second', {
    seed: 2,
    adapter: { attentionBottleneck: 16, ffnBottleneck: 4 },
    prune: { pruner: Pruner.PRUNER_RAND, sparsity: 0.3 },
    train: { labelSmoothing, batchSize: 5, totalSteps: 50, learningRate: 5e-3 },
  }),
];

const predictsInTheMiddle = ({ kind }: Event) =>
  kind?.$case === 'progress' &&
  kind.value.phase === Phase.PHASE_PREDICT &&
  kind.value.done < kind.value.total;

describe.each([QUESTIONS, SUMMARIES])('$name', (kind) => {
  const trials = trialsOf(kind);

  describeStartedTrainer('by a trainer', (here) => {
    let path: string;
    let trained: Event[];
    const jobOf = (work: JobSpec['work'], some: Trial[] = trials) =>
      job(kind.dataset(here.place.root), some, work, path);
    const predicted = (splits: string[]) => jobOf(predict(splits, kind.generation));
    const tensors = (name: string) => readSafetensors(join(here.place.root, name));
    const digests = (place: TrainerPlace) =>
      trials.flatMap(({ trialId }) =>
        ['adapter', 'predictions.many.safetensors'].map(
          (name) => artifactOnDisk(place.root, `trials/${trialId}/${name}`).digest,
        ),
      );

    const testListed = (title: string, body: () => Promise<void> | void) =>
      testOf(trials, title, body, kind.taskKind);
    const lacks = lacking(trials, kind.taskKind).length > 0;

    beforeAll(async () => {
      path = kind.backbone(here.place.folder);
      if (lacks) return;
      await run(here.client, jobOf(PRUNE));
      trained = await events(here.client, await submit(here.client, jobOf(train())));
      await run(here.client, predicted(['validation', 'many']));
    });

    if (lacks) {
      test('is refused with the path of the field', async () => {
        const { code, fieldViolations } = await refusal(submit(here.client, jobOf(PRUNE)));
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
      await run(here.client, jobOf(PRUNE, [lone]));
      await run(here.client, jobOf(train(), [lone]));
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
      'comes to the same bytes when the trainer is killed while it trains and while it predicts',
      async () => {
        const place = new TrainerPlace();
        try {
          const dataset = kind.dataset(place.root);
          const work = {
            train: job(dataset, trials, train(), path),
            predict: job(dataset, trials, predict(['many'], kind.generation), path),
          };
          let trainer = await place.start();
          await run(trainer.client, job(dataset, trials, PRUNE, path));
          for (const [spec, inTheMiddle] of [
            [work.train, checkpointAt(20)],
            [work.predict, predictsInTheMiddle],
          ] as const) {
            const id = await submit(trainer.client, spec);
            const seen = await events(trainer.client, id, inTheMiddle);
            await trainer.kill();
            trainer = await place.start();
            expect((await trainer.client.submitJob(id, specDigest(spec), spec)).created).toBe(
              false,
            );
            const whole = await events(trainer.client, id);
            expectGapless(whole);
            expect(whole.slice(0, seen.length)).toEqual(seen);
            expect(states(whole)).toEqual([
              'QUEUED',
              'RUNNING',
              'INTERRUPTED',
              'QUEUED',
              'RUNNING',
              'SUCCEEDED',
            ]);
          }
          expect(digests(place)).toEqual(digests(here.place));
        } finally {
          await place.remove();
        }
      },
    );

    testListed(
      'comes to the same bytes when it is paused with CHECKPOINT while it trains and while it ' +
        'predicts',
      async () => {
        const place = new TrainerPlace();
        try {
          const dataset = kind.dataset(place.root);
          const { client } = await place.start();
          await run(client, job(dataset, trials, PRUNE, path));
          const moves = ({ kind: each }: Event) => each?.$case === 'metrics';
          for (const [work, inTheMiddle] of [
            [train({ checkpointEverySteps: 0 }), moves],
            [predict(['many'], kind.generation), predictsInTheMiddle],
          ] as const) {
            const spec = job(dataset, trials, work, path);
            const id = await submit(client, spec);
            await events(client, id, inTheMiddle);
            await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT);
            const paused = await events(client, id);
            expect(states(paused)).toEqual(['QUEUED', 'RUNNING', 'INTERRUPTED']);
            expect(paused.some(checkpointAt(1))).toBe(work!.$case === 'train');
            await run(client, spec);
          }
          expect(digests(place)).toEqual(digests(here.place));
        } finally {
          await place.remove();
        }
      },
    );

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
        jobOf(PRUNE, [trials[0], trial('changed', changes)]);
      const generating = (changes: Partial<Generation>) =>
        jobOf(predict(['validation'], { ...GENERATION, ...changes }));
      const labels = (numLabels: number) => ({
        ...jobOf(PRUNE),
        dataset: { ...jobOf(PRUNE).dataset!, numLabels },
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
          const error = await refusal(submit(here.client, jobOf(predict(['validation']))));
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
            ...jobOf(PRUNE),
            backbone: { path: other.backbone(here.place.folder), digest: 'b'.repeat(64) },
          }),
        );
        expect(error.code).toBe('FAILED_PRECONDITION');
        expect(error.fieldViolations.map(({ field }) => field)).toEqual(['spec.backbone.path']);
      });
    });
  });
});
