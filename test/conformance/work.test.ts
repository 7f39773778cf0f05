/** What every trainer's jobs come to. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { FailureReason, JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Precision,
  PruneScope,
  Pruner,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { float32Tensor, readSafetensors } from '../../orchestrator/datasets/safetensors';
import { jobId, specDigest } from '../../orchestrator/trainer-client/spec';
import { lacking, testOf } from '../support/abilities';
import {
  anyTrial,
  artifactOnDisk,
  events,
  job,
  predict,
  PREDICT,
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
import { VALIDATION_ROWS, writeTinyDataset } from '../support/tiny-dataset';
import { TrainerPlace } from '../support/trainer-process';

const LAYERS = 6;
const HIDDEN = 384;

/** Prunable weights of a houlsby adapter on the small backbone. */
const prunable = ({ adapter }: Trial) =>
  LAYERS * 2 * HIDDEN * (adapter!.attentionBottleneck + adapter!.ffnBottleneck);

function countOnes(root: string, trialId: string): Map<string, { kept: number; of: number }> {
  const masks = readSafetensors(join(root, `trials/${trialId}/masks.safetensors`));
  return new Map(
    [...masks].map(([name, { data }]) => [
      name,
      { kept: [...data].filter((value) => value === 1).length, of: data.length },
    ]),
  );
}

describeStartedTrainer('a trainer at work', (here) => {
  describe('with two different trials in a cohort', () => {
    const short = { batchSize: 5, totalSteps: 13, learningRate: 5e-3 };
    const pruned = [
      trial('pair-a', { prune: { sparsity: 0.8 } }),
      trial('pair-b', {
        seed: 2,
        adapter: { attentionBottleneck: 16, ffnBottleneck: 4 },
        prune: { pruner: Pruner.PRUNER_RAND, sparsity: 0.3 },
        train: short,
      }),
    ];
    const pair =
      lacking(pruned).length === 0
        ? pruned
        : [anyTrial('pair-a'), anyTrial('pair-b', { seed: 2, train: short })];
    let trained: Event[];
    beforeAll(async () => {
      await run(here.client, job(here.dataset, pair, PRUNE));
      trained = await events(
        here.client,
        await submit(here.client, job(here.dataset, pair, train())),
      );
      await run(here.client, job(here.dataset, pair, PREDICT));
    });

    testOf(pruned, 'keeps exactly floor((1 − sparsity) · n + 0.5) weights of each', () => {
      for (const each of pair) {
        const n = prunable(each);
        const masks = [...countOnes(here.place.root, each.trialId).values()];
        expect(masks.reduce((sum, { of }) => sum + of, 0)).toBe(n);
        expect(masks.reduce((sum, { kept }) => sum + kept, 0)).toBe(
          Math.floor((1 - each.prune!.sparsity) * n + 0.5),
        );
      }
    });

    test('tells states, steps, metrics and one result a trial', () => {
      expect(states(trained)).toEqual(['QUEUED', 'RUNNING', 'SUCCEEDED']);
      expect(trained.some(({ kind }) => kind?.$case === 'progress')).toBe(true);
      const metrics = trained.flatMap(({ kind }) =>
        kind?.$case === 'metrics' ? kind.value.metrics : [],
      );
      const logged = metrics
        .filter(({ name, trialId }) => name === 'loss' && trialId === 'pair-a')
        .map(({ step }) => step);
      expect(logged).toEqual([5, 10, 15, 20]);
      expect(new Set(metrics.map(({ name }) => name))).toEqual(
        new Set(['loss', 'learning_rate', 'grad_norm']),
      );
      expect([...results(trained).keys()].sort()).toEqual(['pair-a', 'pair-b']);
      expect(results(trained).get('pair-b')!.values).toMatchObject({ steps: 13 });
    });

    test('says what computes it before the work, and with each result what made it', async () => {
      const told = trained.flatMap(({ kind }) =>
        kind?.$case === 'environment' ? [kind.value] : [],
      );
      const { framework, frameworkVersion, devices } = await here.client.getCapabilities();
      const { kind: device, name: deviceName } = devices[0]!;
      expect(told).toMatchObject([{ framework, frameworkVersion, device, deviceName }]);
      const kinds = trained.map(({ kind }) => kind!.$case);
      expect(kinds.indexOf('environment')).toBeLessThan(kinds.indexOf('progress'));
      for (const { environments } of results(trained).values()) expect(environments).toEqual(told);
    });

    test('describes each artifact as it is on disk', () => {
      const described = [...results(trained).values()].flatMap(({ artifacts }) => artifacts);
      expect(described.length).toBeGreaterThan(0);
      for (const artifact of described)
        expect(artifactOnDisk(here.place.root, artifact.name)).toEqual(artifact);
      const adapter = readSafetensors(
        join(here.place.root, 'trials/pair-a/adapter/adapter_model.safetensors'),
      );
      const modules = pair === pruned ? ['layers.0.attention.down.weight'] : [];
      expect([...adapter.keys()]).toEqual(
        expect.arrayContaining([...modules, 'head.dense.weight', 'head.out.bias']),
      );
    });

    testOf(pruned, 'leaves masked weights exactly 0', () => {
      const adapter = readSafetensors(
        join(here.place.root, 'trials/pair-a/adapter/adapter_model.safetensors'),
      );
      for (const [name, mask] of readSafetensors(
        join(here.place.root, 'trials/pair-a/masks.safetensors'),
      )) {
        const weight = float32Tensor(adapter, name);
        expect(weight.shape).toEqual(mask.shape);
        expect(weight.data.every((value, index) => mask.data[index] === 1 || value === 0)).toBe(
          true,
        );
      }
    });

    test('predicts a finite logit a row and label', () => {
      const logits = float32Tensor(
        readSafetensors(join(here.place.root, 'trials/pair-b/predictions.validation.safetensors')),
        'logits',
      );
      expect(logits.shape).toEqual([VALIDATION_ROWS, 2]);
      expect(logits.data.every(Number.isFinite)).toBe(true);
    });

    test('gives each trial the weights of its lone run', async () => {
      const exact = (await here.client.getCapabilities()).environment.row_invariant === 'true';
      const alone = new TrainerPlace();
      try {
        writeTinyDataset(alone.root);
        const { client } = await alone.start();
        for (const each of pair) {
          await run(client, job(here.dataset, [each], PRUNE));
          await run(client, job(here.dataset, [each], train()));
          const name = `trials/${each.trialId}/adapter/adapter_model.safetensors`;
          const [together, lone] = [
            readSafetensors(join(here.place.root, name)),
            readSafetensors(join(alone.root, name)),
          ];
          for (const key of together.keys()) {
            const [a, b] = [float32Tensor(together, key).data, float32Tensor(lone, key).data];
            const apart = a.reduce(
              (most, value, index) => Math.max(most, Math.abs(value - b[index]!)),
              0,
            );
            expect({
              trial: each.trialId,
              key,
              apart: apart <= (exact ? 0 : 1e-3) ? 'no' : apart,
            }).toEqual({
              trial: each.trialId,
              key,
              apart: 'no',
            });
          }
        }
      } finally {
        await alone.remove();
      }
    });

    test('watches from any sequence', async () => {
      const id = jobId(specDigest(job(here.dataset, pair, train())), 1);
      const { logId } = trained[0]!;
      expect(trained.map(({ sequence }) => sequence)).toEqual(trained.map((_, index) => index + 1));
      for (const afterSequence of [0, 1, Math.floor(trained.length / 2), trained.length]) {
        const rest: Event[] = [];
        for await (const { payload } of here.client.watchJob(id, { afterSequence, logId }))
          if (payload?.$case === 'event') rest.push(payload.value);
        expect(rest).toEqual(trained.slice(afterSequence));
      }
    });

    test('refuses a cursor past the end or of another log with OUT_OF_RANGE', async () => {
      const id = jobId(specDigest(job(here.dataset, pair, train())), 1);
      const { logId } = trained[0]!;
      const watch = (options: { afterSequence: number; logId: string }) =>
        here.client.watchJob(id, options).next();
      await expect(watch({ afterSequence: trained.length + 1, logId })).rejects.toMatchObject({
        code: 'OUT_OF_RANGE',
      });
      await expect(watch({ afterSequence: 1, logId: 'another' })).rejects.toMatchObject({
        code: 'OUT_OF_RANGE',
      });
      await expect(watch({ afterSequence: 1, logId: '' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });
  });

  const local = trial('local', { prune: { scope: PruneScope.PRUNE_SCOPE_LOCAL, sparsity: 0.7 } });
  testOf([local], 'keeps the same share of every matrix where the scope is local', async () => {
    await run(here.client, job(here.dataset, [local], PRUNE));
    for (const { kept, of } of countOnes(here.place.root, 'local').values())
      expect(kept).toBe(Math.floor(0.3 * of + 0.5));
  });

  test('submits twice as one job, and refuses another specification under that id', async () => {
    const spec = job(here.dataset, [anyTrial('twice')], PRUNE);
    const digest = specDigest(spec);
    const first = await here.client.submitJob('twice', digest, spec);
    const second = await here.client.submitJob('twice', digest, spec);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.job.logId).toBe(first.job.logId);
    await expect(here.client.submitJob('twice', 'f'.repeat(64), spec)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await events(here.client, 'twice');
    const ended = await here.client.submitJob('twice', digest, spec);
    expect(ended.job).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, runs: 1 });
  });

  test('fails one trial that diverges, with its reason, and not its neighbour', async () => {
    const pair = [
      anyTrial('calm'),
      anyTrial('wild', { train: { learningRate: 1e30, maxGradNorm: 0, warmup: 0 } }),
    ];
    await run(here.client, job(here.dataset, pair, PRUNE));
    const found = await run(here.client, job(here.dataset, pair, train()));
    expect(found.get('wild')!.failure).toMatchObject({
      reason: FailureReason.FAILURE_REASON_NON_FINITE,
    });
    expect(found.get('calm')!.failure).toBeUndefined();
    expect(existsSync(join(here.place.root, 'trials/wild/adapter'))).toBe(false);
  });

  test('fails a trial whose time is up; with a higher limit it goes on to the same', async () => {
    const brief = anyTrial('brief', { train: { totalSteps: 1 } });
    const [whole, slow] = [anyTrial('unhurried'), anyTrial('slow')];
    await run(here.client, job(here.dataset, [brief, whole, slow], PRUNE));
    await run(here.client, job(here.dataset, [whole], train()));
    const limited = await run(
      here.client,
      job(here.dataset, [brief, slow], train({ maxSeconds: 1e-4, untilStep: 10 })),
    );
    expect(limited.get('brief')!.failure).toBeUndefined();
    expect(limited.get('slow')!.failure).toEqual({
      reason: FailureReason.FAILURE_REASON_TIME_LIMIT,
      message: expect.stringMatching(
        '^the time limit of 0\\.0001 s was reached at step [1-9] of 20; ' +
          'with a higher limit it continues there$',
      ) as string,
    });
    const found = await run(here.client, job(here.dataset, [slow], train({ maxSeconds: 3600 })));
    expect(found.get('slow')!.failure).toBeUndefined();
    const digest = (id: string) =>
      artifactOnDisk(here.place.root, `trials/${id}/adapter/adapter_model.safetensors`).digest;
    expect(digest('slow')).toBe(digest('unhurried'));
  });

  test('predicts at a rung, and goes on from its checkpoint to the bytes of one run', async () => {
    const whole = anyTrial('whole');
    const rungs = { ...whole, trialId: 'rungs' };
    const digest = (id: string, file = 'adapter/adapter_model.safetensors') =>
      artifactOnDisk(here.place.root, `trials/${id}/${file}`).digest;
    const [atRung, final] = ['.step7', ''].map((at) => `predictions.validation${at}.safetensors`);
    const predictAt = (step: number) =>
      job(here.dataset, [rungs], predict(['validation'], undefined, step));
    await run(here.client, job(here.dataset, [whole, rungs], PRUNE));
    await run(here.client, job(here.dataset, [whole], train()));
    await run(here.client, job(here.dataset, [whole], PREDICT));

    const stopped = await run(here.client, job(here.dataset, [rungs], train({ untilStep: 7 })));
    expect(stopped.get('rungs')!.artifacts.map(({ name }) => name)).toEqual([
      'trials/rungs/rungs/step-7/adapter',
    ]);
    const checkpoints = () => readdirSync(join(here.place.root, 'trials/rungs/checkpoints'));
    expect(checkpoints()).toContain('step-7');
    const told = (await run(here.client, predictAt(7))).get('rungs')!;
    expect(told.artifacts.map(({ name }) => name)).toEqual([`trials/rungs/${atRung}`]);
    expect(checkpoints()).toContain('step-7');
    for (const name of [final!, 'adapter'])
      expect(existsSync(join(here.place.root, 'trials/rungs', name))).toBe(false);
    const early = digest('rungs', atRung);

    // The next rung, then the end.
    expect((await refusal(submit(here.client, predictAt(13), 2))).fieldViolations).toEqual([
      {
        field: 'spec.trials[0]',
        description:
          'trials/rungs/rungs/step-13/adapter/adapter_model.safetensors does not exist; ' +
          'a job that does train with until_step 13 writes it',
      },
    ]);
    await run(here.client, job(here.dataset, [rungs], train({ untilStep: 13 })));
    await run(here.client, predictAt(13));
    await run(here.client, job(here.dataset, [rungs], train()));
    await run(here.client, job(here.dataset, [rungs], PREDICT));
    expect(digest('rungs')).toBe(digest('whole'));
    expect(digest('rungs', final)).toBe(digest('whole', final));
    expect(digest('rungs', atRung)).toBe(early);
    expect(early).not.toBe(digest('rungs', final));
  });

  test('keeps a rung’s adapter and the last one apart, in whatever order', async () => {
    const both = anyTrial('two-sweeps');
    const of = (work: typeof PRUNE) => job(here.dataset, [both], work);
    const digest = (file: string) =>
      artifactOnDisk(here.place.root, `trials/two-sweeps/${file}`).digest;
    await run(here.client, of(PRUNE));
    await run(here.client, of(train()));
    const trained = digest('adapter/adapter_model.safetensors');
    // Another sweep's rung, between this one's training and its predictions.
    await run(here.client, of(train({ untilStep: 7 })));
    await run(here.client, of(PREDICT));
    await run(here.client, of(predict(['validation'], undefined, 7)));
    expect(digest('adapter/adapter_model.safetensors')).toBe(trained);
    expect(digest('rungs/step-7/adapter/adapter_model.safetensors')).not.toBe(trained);
    expect(digest('predictions.validation.step7.safetensors')).not.toBe(
      digest('predictions.validation.safetensors'),
    );
  });

  test('computes in float32 whether a job says so or not: same bytes, same source', async () => {
    const name = (trialId: string, file: string): string => `trials/${trialId}/${file}`;
    const files = [
      'masks.safetensors',
      'adapter/adapter_model.safetensors',
      'predictions.validation.safetensors',
    ];
    const [unsaid, said] = [
      anyTrial('unsaid', { train: { totalSteps: 4 } }),
      anyTrial('said', { train: { totalSteps: 4 } }),
    ];
    for (const work of [PRUNE, train(), PREDICT]) {
      await run(here.client, job(here.dataset, [unsaid], work));
      await run(here.client, {
        ...job(here.dataset, [said], work),
        precision: Precision.PRECISION_FLOAT32,
      });
    }
    const digests = (trialId: string) =>
      files.map((file) => artifactOnDisk(here.place.root, name(trialId, file)).digest);
    expect(digests('said')).toEqual(digests('unsaid'));
    // The source is the same too: what is on disk is done.
    const written = () =>
      files.map((file) => statSync(join(here.place.root, name('unsaid', file))).mtimeMs);
    const before = written();
    for (const work of [PRUNE, train(), PREDICT]) {
      await run(here.client, {
        ...job(here.dataset, [unsaid], work),
        precision: Precision.PRECISION_FLOAT32,
      });
    }
    expect(written()).toEqual(before);
  });

  test('lists its jobs, newest first', async () => {
    const jobs = await here.client.listJobs([JobState.JOB_STATE_SUCCEEDED]);
    expect(jobs.length).toBeGreaterThan(5);
    const ages = jobs.map(({ createTime }) => createTime!.getTime());
    expect(ages).toEqual([...ages].sort((a, b) => b - a));
  });
});
