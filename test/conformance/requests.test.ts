/** What every trainer answers before it has done any work. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AttentionModule,
  FfnModule,
  Precision,
  type Activation,
  type Dataset,
  type JobSpec,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import { testOf } from '../support/abilities';
import {
  anyTrial,
  job,
  PREDICT,
  predict,
  PRUNE,
  refusal,
  submit,
  train,
  trial,
} from '../support/jobs';
import { healthOf, reflectedServices, unary } from '../support/standard-services';
import { describeStartedTrainer } from '../support/started-trainer';

const SERVICE = 'sparse_adapter.trainer.v1.TrainerService';

const elsewhere = (dataset: Dataset): Dataset => ({
  ...dataset,
  name: `datasets/${'e'.repeat(32)}`,
  digest: 'e'.repeat(32),
});

describeStartedTrainer('a trainer that was started', (here) => {
  test('tells what it can do', async () => {
    const capabilities = await here.client.getCapabilities();
    expect(capabilities).toMatchObject({ protocolVersion: 1, queueLength: 2 });
    expect(capabilities.framework).toMatch(/^[a-z]+$/);
    expect(capabilities.frameworkVersion).toMatch(/^\d+\.\d+/);
    expect(capabilities.slots).toBeGreaterThanOrEqual(1);
    expect(capabilities.maxCohort).toBeGreaterThanOrEqual(1);
    expect(capabilities.architectures).toContain('bert');
    for (const list of [capabilities.devices, capabilities.pruners, capabilities.taskKinds]) {
      expect(list.length).toBeGreaterThan(0);
    }
    expect(capabilities.attentionModules).toContain(AttentionModule.ATTENTION_MODULE_NONE);
    expect(capabilities.ffnModules).toContain(FfnModule.FFN_MODULE_NONE);
    expect(capabilities.precisions).toContain(Precision.PRECISION_FLOAT32);
    const { kind, memoryBytes } = capabilities.devices[0]!;
    expect(['cpu', 'cuda']).toContain(kind);
    if (kind === 'cpu') expect(memoryBytes).toBeGreaterThan(1e8);
    expect(capabilities.environment).toHaveProperty(capabilities.framework);
  });

  test('names its artifact root as the file .root-id in it does', async () => {
    const { artifactRootId } = await here.client.getCapabilities();
    expect(artifactRootId).not.toBe('');
    expect(readFileSync(join(here.place.root, '.root-id'), 'utf8').trim()).toBe(artifactRootId);
  });

  test('is SERVING, as a server and as TrainerService', async () => {
    expect(await healthOf(here.place.address, '')).toBe(1);
    expect(await healthOf(here.place.address, SERVICE)).toBe(1);
  });

  test('lists its services by reflection', async () => {
    expect(await reflectedServices(here.place.address)).toEqual(
      expect.arrayContaining([SERVICE, 'grpc.health.v1.Health']),
    );
  });

  test('implements ArtifactService, or answers UNIMPLEMENTED and says so', async () => {
    const { artifactService } = await here.client.getCapabilities();
    const answer = unary(
      here.place.address,
      '/sparse_adapter.trainer.v1.ArtifactService/FindMissing',
      Buffer.alloc(0),
    );
    if (artifactService) await expect(answer).resolves.toHaveLength(0);
    else await expect(answer).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  test('does not know a job that was never submitted', async () => {
    const { client } = here;
    for (const call of [
      () => client.getJob('unknown'),
      () => client.cancelJob('unknown', CancelMode.CANCEL_MODE_ABORT),
      () => client.watchJob('unknown').next(),
    ]) {
      expect((await refusal(call())).code).toBe('NOT_FOUND');
    }
  });

  describe('refuses with the path of the field', () => {
    const good = () => job(here.dataset, [trial('t0'), trial('t1'), trial('t2')], PRUNE);
    const plain = (work = PRUNE) => job(here.dataset, [anyTrial('never-done')], work);
    const withTrial = (changes: Parameters<typeof trial>[1]): JobSpec => ({
      ...good(),
      trials: [trial('t0'), trial('t1'), trial('t2', changes)],
    });
    const named = (name: string): JobSpec => ({
      ...good(),
      trials: [{ ...trial('t0'), trialId: name }],
    });

    async function expectUnmet(field: string, spec: JobSpec): Promise<void> {
      const error = await refusal(submit(here.client, spec));
      expect(error.code).toBe('FAILED_PRECONDITION');
      expect(error.fieldViolations.map((violation) => violation.field)).toEqual([field]);
      expect(error.retryable).toBe(false);
    }

    test.each<[string, string, () => JobSpec]>([
      ['spec.trials[2].prune.sparsity', 'above 1', () => withTrial({ prune: { sparsity: 1.2 } })],
      [
        'spec.trials[2].prune.sparsity',
        'of exactly 1',
        () => withTrial({ prune: { sparsity: 1 } }),
      ],
      [
        'spec.trials[2].prune.sparsity',
        'that is NaN',
        () => withTrial({ prune: { sparsity: NaN } }),
      ],
      ['spec.trials[2].prune.pruner', 'not set', () => withTrial({ prune: { pruner: 0 } })],
      ['spec.trials[2].prune.scoring_rows', 'of 0', () => withTrial({ prune: { scoringRows: 0 } })],
      [
        'spec.trials[2].adapter.ffn_bottleneck',
        'of 0',
        () => withTrial({ adapter: { ffnBottleneck: 0 } }),
      ],
      ['spec.trials[2].adapter.scale', 'below 0', () => withTrial({ adapter: { scale: -1 } })],
      [
        'spec.trials[2].adapter.activation',
        'that nobody knows',
        () => withTrial({ adapter: { activation: 99 as Activation } }),
      ],
      ['spec.trials[2].train.batch_size', 'of 0', () => withTrial({ train: { batchSize: 0 } })],
      [
        'spec.trials[2].train.learning_rate',
        'that is infinite',
        () => withTrial({ train: { learningRate: Infinity } }),
      ],
      ['spec.trials[2].train.dropout', 'of 1', () => withTrial({ train: { dropout: 1 } })],
      ['spec.precision', 'that nobody knows', () => ({ ...good(), precision: 99 as Precision })],
      ['spec.trials', 'without a trial', () => ({ ...good(), trials: [] })],
      [
        'spec.trials[1].trial_id',
        'that is taken',
        () => ({ ...good(), trials: [trial('same'), trial('same')] }),
      ],
      ['spec.trials[0].trial_id', 'that leaves its folder', () => named('../x')],
      ['spec.trials[0].trial_id', 'that is absolute', () => named('/x')],
      ['spec.trials[0].trial_id', 'with a slash', () => named('a/b')],
      ['spec.trials[0].trial_id', 'that is empty', () => named('')],
      [
        'spec.dataset.name',
        'that leaves the root',
        () => ({ ...good(), dataset: { ...here.dataset, name: '../x' } }),
      ],
      [
        'spec.dataset.name',
        'that is absolute',
        () => ({ ...good(), dataset: { ...here.dataset, name: '/etc' } }),
      ],
      [
        'spec.dataset.num_labels',
        'of 0',
        () => ({ ...good(), dataset: { ...here.dataset, numLabels: 0 } }),
      ],
      [
        'spec.backbone.path',
        'that is relative',
        () => ({ ...good(), backbone: { path: '../x', digest: 'b'.repeat(64) } }),
      ],
      [
        'spec.predict.splits[0]',
        'that leaves its folder',
        () => ({ ...good(), work: predict(['../validation']) }),
      ],
      [
        'spec.train.keep_checkpoints',
        'of 0',
        () => ({ ...good(), work: train({ keepCheckpoints: 0 }) }),
      ],
    ])('%s %s', async (field, _, spec) => {
      // The digest stands for nothing here: NaN has no canonical form.
      const error = await refusal(here.client.submitJob('refused', 'a'.repeat(64), spec()));
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.fieldViolations.map((violation) => violation.field)).toEqual([field]);
      expect(error.fieldViolations[0]!.description).not.toBe('');
      expect(error.retryable).toBe(false);
    });

    test.each<[string, string, () => JobSpec]>([
      [
        'spec.backbone.path',
        'of a folder that is not there',
        () => ({ ...plain(), backbone: { path: '/no/such', digest: 'b'.repeat(64) } }),
      ],
      [
        'spec.dataset.name',
        'of a data set that is not there',
        () => ({ ...plain(), dataset: elsewhere(here.dataset) }),
      ],
      ['spec.trials[0]', 'that was never pruned, to train', () => plain(train())],
      ['spec.trials[0]', 'that was never trained, to predict', () => plain(PREDICT)],
    ])('%s %s', (field, _, spec) => expectUnmet(field, spec()));

    testOf(
      [trial('t0')],
      'spec.trials[2].adapter.ffn_bottleneck wider than the backbone bears',
      () =>
        expectUnmet(
          'spec.trials[2].adapter.ffn_bottleneck',
          withTrial({ adapter: { ffnBottleneck: 1_000_000 } }),
        ),
    );

    test('spec.precision that is not among its capabilities, with those that are', async () => {
      const { precisions } = await here.client.getCapabilities();
      for (const precision of [Precision.PRECISION_TF32, Precision.PRECISION_BF16].filter(
        (each) => !precisions.includes(each),
      )) {
        const spec = { ...plain(), precision };
        await expectUnmet('spec.precision', spec);
        const { fieldViolations } = await refusal(submit(here.client, spec));
        expect(fieldViolations[0]!.description).toContain(
          precisions.map((each) => Precision[each]).join(', '),
        );
      }
    });

    test.each(['../x', '/x', 'a/b', 'A', '', 'x'.repeat(129)])('job_id of %j', async (id) => {
      const spec = good();
      expect(
        (await refusal(here.client.submitJob(id, specDigest(spec), spec))).fieldViolations.map(
          ({ field }) => field,
        ),
      ).toEqual(['job_id']);
    });

    test('a request with a number beyond what JavaScript holds, not as its own fault', async () => {
      const seed = new BinaryWriter()
        .uint32(0x10)
        .uint64(2n ** 60n)
        .finish();
      const spec = new BinaryWriter().uint32(0x1a).bytes(seed).finish();
      const request = Buffer.from(new BinaryWriter().uint32(0x1a).bytes(spec).finish());
      await expect(
        unary(here.place.address, `/${SERVICE}/SubmitJob`, request),
      ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    });

    test('at most 20 fields, the last one "and N more"', async () => {
      const { maxCohort } = await here.client.getCapabilities();
      const trials = Array.from({ length: Math.max(30, maxCohort) }, (_, index) =>
        trial(`t${index}`, { prune: { sparsity: 2 } }),
      );
      const { fieldViolations } = await refusal(
        here.client.submitJob('refused', 'a'.repeat(64), { ...good(), trials }),
      );
      expect(fieldViolations).toHaveLength(20);
      expect(fieldViolations[19]!.description).toBe(`and ${trials.length - 19} more`);
    });
  });

  test('has no job after all these refusals', async () => {
    expect(await here.client.listJobs()).toEqual([]);
  });
});
