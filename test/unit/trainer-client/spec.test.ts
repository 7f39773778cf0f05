import {
  AttentionModule,
  FfnModule,
  JobSpec,
  Precision,
  Unfrozen,
} from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { completeAdapter } from '../../../orchestrator/config/adapter';
import {
  jobId,
  jobSpecFor,
  specDigest,
  type Work,
  type WorkOptions,
} from '../../../orchestrator/trainer-client/spec';
import { dataset, prune } from '../support/plans';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

function buildSpec(work: Work, options?: WorkOptions, trials = ['t1']): JobSpec {
  const plan = tinyPlan();
  return jobSpecFor(plan, plan.cohorts[0]!, trials, work, options);
}

describe('a job of a plan', () => {
  test('carries every field of a trial', () => {
    expect(JobSpec.toJSON(buildSpec('prune'))).toEqual({
      backbone: { path: '/models/minilm', digest: 'b'.repeat(64) },
      dataset: {
        name: 'datasets/mrpc-digest',
        digest: 'mrpc-digest',
        taskKind: 'TASK_KIND_CLASSIFICATION',
        numLabels: 2,
      },
      trials: [
        {
          trialId: 't1',
          seed: 3,
          adapter: {
            attention: 'ATTENTION_MODULE_SEQUENTIAL',
            ffn: 'FFN_MODULE_SEQUENTIAL',
            attentionBottleneck: 64,
            ffnBottleneck: 32,
            scale: 1,
            norm: 'ADAPTER_NORM_BEFORE',
            activation: 'ACTIVATION_RELU',
            init: 'ADAPTER_INIT_GAUSSIAN',
            initStd: 0.02,
            unfrozen: 'UNFROZEN_NONE',
          },
          prune: {
            pruner: 'PRUNER_SNIP',
            sparsity: 0.4,
            scope: 'PRUNE_SCOPE_GLOBAL',
            scoringRows: 128,
            rounds: 1,
            schedule: 'PRUNE_SCHEDULE_EXPONENTIAL',
            structure: 'MASK_STRUCTURE_WEIGHTS',
            rules: 'MASK_RULES_EXACT',
            control: 'MASK_CONTROL_NONE',
          },
          train: {
            batchSize: 32,
            totalSteps: 100,
            learningRate: 0.001,
            weightDecay: 0.1,
            warmup: 0.06,
            schedule: 'LEARNING_RATE_SCHEDULE_LINEAR',
            maxGradNorm: 1,
            adamBeta1: 0.9,
            adamBeta2: 0.999,
            adamEpsilon: 1e-8,
            dropout: 0.1,
            attentionDropout: 0.05,
          },
        },
      ],
      prune: {},
    });
  });

  test('of summarization carries label smoothing, and the generation when it predicts', () => {
    const generation = {
      beams: 4,
      min_length: 5,
      max_length: 50,
      no_repeat_ngram: 3,
      length_penalty: 1.5,
    };
    const { train } = plannedTrial('t1');
    const summaries = {
      task: 'xsum',
      kind: 'summarization' as const,
      num_labels: 0,
      label_names: [],
    };
    const plan = {
      ...tinyPlan([plannedTrial('t1', { train: { ...train, label_smoothing: 0.1 }, generation })]),
    };
    plan.datasets = [{ ...dataset('mrpc'), ...summaries }];
    const json = (work: Work) => JobSpec.toJSON(jobSpecFor(plan, plan.cohorts[0]!, ['t1'], work));
    expect(json('train')).toMatchObject({
      dataset: { taskKind: 'TASK_KIND_SUMMARIZATION' },
      trials: [{ train: { labelSmoothing: 0.1 } }],
    });
    expect(json('predict')).toMatchObject({
      predict: {
        splits: ['validation'],
        generation: { beams: 4, minLength: 5, maxLength: 50, noRepeatNgram: 3, lengthPenalty: 1.5 },
      },
    });
  });

  test('carries what other adapters and pruners need', () => {
    const trial = plannedTrial('t1', {
      adapter: completeAdapter({ attention: 'prefix', ffn: 'lora' }),
      prune: prune({
        ...{ pruner: 'grasp', sparsity: 0.5, scoring_rows: 64, temperature: 200 },
        ...{ rounds: 5, schedule: 'linear', control: 'shuffled', reinitialize: true },
      }),
    });
    const plan = tinyPlan([trial]);
    expect(JobSpec.toJSON(jobSpecFor(plan, plan.cohorts[0]!, ['t1'], 'prune'))).toMatchObject({
      trials: [
        {
          adapter: {
            attention: 'ATTENTION_MODULE_PREFIX',
            ffn: 'FFN_MODULE_LORA',
            prefixHidden: 800,
            loraAlpha: 16,
            initStd: 0.02,
          },
          prune: {
            ...{ pruner: 'PRUNER_GRASP', scoringRows: 64, temperature: 200 },
            ...{
              rounds: 5,
              schedule: 'PRUNE_SCHEDULE_LINEAR',
              control: 'MASK_CONTROL_SHUFFLED',
              reinitialize: true,
            },
          },
        },
      ],
    });
  });

  test('trains biases for bitfit and nothing for head_only', () => {
    const trials = [
      plannedTrial('t1', { adapter: completeAdapter({ kind: 'bitfit' }), prune: prune() }),
      plannedTrial('t2', { adapter: completeAdapter({ kind: 'head_only' }), prune: prune() }),
    ];
    const plan = tinyPlan(trials);
    const spec = jobSpecFor(plan, plan.cohorts[0]!, ['t1', 't2'], 'prune');
    expect(
      spec.trials.map(({ adapter }) => [adapter!.attention, adapter!.ffn, adapter!.unfrozen]),
    ).toEqual([
      [AttentionModule.ATTENTION_MODULE_NONE, FfnModule.FFN_MODULE_NONE, Unfrozen.UNFROZEN_BIASES],
      [AttentionModule.ATTENTION_MODULE_NONE, FfnModule.FFN_MODULE_NONE, Unfrozen.UNFROZEN_NONE],
    ]);
  });

  test('survives the wire', () => {
    const spec = buildSpec('train', {}, ['t1', 't2']);
    expect(JobSpec.decode(JobSpec.encode(spec).finish())).toEqual(spec);
  });

  test('has the trials that are asked for, in that order', () => {
    expect(buildSpec('prune', {}, ['t2', 't1']).trials.map(({ trialId }) => trialId)).toEqual([
      't2',
      't1',
    ]);
  });

  test('is refused for a trial of another cohort', () => {
    expect(() => buildSpec('prune', {}, ['t9'])).toThrow(
      'trial t9 is not in cohort c01-mrpc of sweep tiny-00000000',
    );
  });

  test('trains to the end unless it is to stop at a rung', () => {
    expect(buildSpec('train').work).toMatchObject({
      $case: 'train',
      value: { untilStep: 0, checkpointEverySteps: 0, checkpointSeconds: 180, keepCheckpoints: 2 },
    });
    expect(buildSpec('train', { untilStep: 50 }).work).toMatchObject({ value: { untilStep: 50 } });
  });

  test('predicts every split that is evaluated', () => {
    expect(buildSpec('predict').work).toEqual({
      $case: 'predict',
      value: { splits: ['validation'], atStep: 0 },
    });
    const plan = { ...tinyPlan(), datasets: [{ ...dataset('mnli'), digest: 'mrpc-digest' }] };
    const splits = ['validation', 'validation_mismatched'];
    expect(jobSpecFor(plan, plan.cohorts[0]!, ['t1'], 'predict').work).toEqual({
      $case: 'predict',
      value: { splits, atStep: 0 },
    });
  });
});

describe('the digest of a specification', () => {
  test('is the same for the same plan, and another for any other work, trial or option', () => {
    const specs = [
      buildSpec('prune'),
      buildSpec('train'),
      buildSpec('train', { untilStep: 7 }),
      buildSpec('predict'),
      buildSpec('prune', {}, ['t2']),
    ];
    expect(new Set(specs.map(specDigest)).size).toBe(specs.length);
    expect(specDigest(buildSpec('prune'))).toBe(specDigest(buildSpec('prune')));
    expect(specDigest(buildSpec('prune'))).toMatch(/^[0-9a-f]{64}$/);
  });

  test('does not depend on the order in which fields were set', () => {
    const spec = buildSpec('prune');
    const reversed = Object.fromEntries(Object.entries(spec).reverse()) as unknown as JobSpec;
    expect(specDigest(reversed)).toBe(specDigest(spec));
  });

  test('is kept from version to version: a sweep that was begun goes on', () => {
    const plan = tinyPlan([plannedTrial('t1')]);
    expect(specDigest(jobSpecFor(plan, plan.cohorts[0]!, ['t1'], 'prune'))).toBe(
      '1ea113060f18fdc5289c4f71fa5ac56414711463bdfecd8c236112cfcbcd5a18',
    );
  });

  test.each([
    [undefined, Precision.PRECISION_UNSPECIFIED],
    ['tf32', Precision.PRECISION_TF32],
    ['bf16', Precision.PRECISION_BF16],
  ] as const)(
    'of precision %s is of its own, that of float32 as it always was',
    (precision, value) => {
      const plan = tinyPlan([plannedTrial('t1', { precision })]);
      const spec = jobSpecFor(plan, plan.cohorts[0]!, ['t1'], 'prune');
      expect(spec.precision).toBe(value);
      expect(
        specDigest(spec) === specDigest({ ...spec, precision: Precision.PRECISION_UNSPECIFIED }),
      ).toBe(precision === undefined);
    },
  );

  test('names the job with its generation', () => {
    expect(jobId('abc', 1)).toBe('abc-g1');
    expect(jobId('abc', 'run-2')).toBe('abc-grun-2');
  });
});
