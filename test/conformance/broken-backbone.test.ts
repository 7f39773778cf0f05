/**
 * A backbone with weights that are no numbers ends its job, with the name of the tensor; one that a
 * link leads to outside the artifact root is refused before.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors } from '../../common/safetensors';
import { FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { anyTrial, events, job, PRUNE, refusal, run, states, submit, train } from '../support/jobs';
import { describeStartedTrainer } from '../support/started-trainer';
import { writeTinyBackbone } from '../support/tiny-backbone';

const WORDS = 'embeddings.word_embeddings.weight';

describeStartedTrainer('a backbone that cannot be used', (here) => {
  test.each([
    ['not-a-number', NaN],
    ['infinite', Infinity],
  ])('fails the job if a weight is %s', async (what, value) => {
    const path = join(here.place.folder, `backbone-${what}`);
    writeTinyBackbone(path, 'bert', 50);
    const file = join(path, 'model.safetensors');
    const tensors = decodeSafetensors(readFileSync(file));
    tensors.get(WORDS)!.data[33] = value;
    writeFileSync(file, encodeSafetensors(Object.fromEntries(tensors), { format: 'pt' }));

    const trials = [anyTrial(what)];
    await run(here.client, job(here.dataset, trials, PRUNE));
    const id = await submit(here.client, job(here.dataset, trials, train(), path));
    expect(states(await events(here.client, id))).toEqual(['QUEUED', 'RUNNING', 'FAILED']);
    const { failure } = await here.client.getJob(id);
    expect(failure!.reason).toBe(FailureReason.FAILURE_REASON_BAD_ARTIFACT);
    expect(failure!.message).toBe(
      `backbone ${path}: 1 of 1600 values of its tensor ${WORDS} are NaN or infinite`,
    );
  });

  test('is refused if a link leads to it outside the artifact root', async () => {
    const elsewhere = join(here.place.folder, 'backbone-elsewhere');
    writeTinyBackbone(elsewhere, 'bert', 50);
    const path = `backbones/${'b'.repeat(64)}`;
    mkdirSync(join(here.place.root, 'backbones'), { recursive: true });
    symlinkSync(elsewhere, join(here.place.root, path));
    const refused = await refusal(
      submit(here.client, job(here.dataset, [anyTrial('linked')], PRUNE, path)),
    );
    expect(refused.code).toBe('FAILED_PRECONDITION');
    expect(refused.fieldViolations.map(({ field }) => field)).toEqual(['spec.backbone.path']);
    expect(refused.message).toContain('leaves the artifact root');
  });
});
