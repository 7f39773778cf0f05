/**
 * What every trainer answers before it has done any work; the words for bad requests are in
 * bad-requests.test.ts.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AttentionModule, FfnModule, Precision } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import { job, PRUNE, refusal, trial } from '../support/jobs';
import { askHealth, reflectedServices, unary } from '../support/standard-services';
import { describeStartedTrainer } from '../support/started-trainer';

const SERVICE = 'sparse_adapter.trainer.v1.TrainerService';

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
    expect(await askHealth(here.place.address, '')).toBe(1);
    expect(await askHealth(here.place.address, SERVICE)).toBe(1);
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

    test('a request whose text is none, not as its own fault', async () => {
      const request = Buffer.from(
        new BinaryWriter()
          .uint32(0x0a)
          .bytes(Buffer.from([0xff, 0xfe]))
          .finish(),
      );
      const { code } = (await unary(here.place.address, `/${SERVICE}/GetJob`, request).catch(
        (error: unknown) => error,
      )) as { code: status };
      // Some read other characters for it, and have no job of that name.
      expect([status.INVALID_ARGUMENT, status.NOT_FOUND]).toContain(code);
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
