/** What a trainer keeps of jobs that have ended, and what it forgets. */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import {
  anyTrial,
  events,
  job,
  PREDICT,
  PRUNE,
  results,
  run,
  submit,
  train,
} from '../support/jobs';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';

/** Most of a second. */
const DAYS = 1e-5;
const MS = DAYS * 86_400_000;

describeTrainer('a trainer that keeps ended jobs for a moment', () => {
  const place = new TrainerPlace();
  afterAll(() => place.remove());

  test('forgets them with the next one, and only reports work that it is asked again', async () => {
    const dataset = writeTinyDataset(place.root);
    const { client } = await place.start(['--keep-job-days', String(DAYS)]);
    const trial = anyTrial('kept', { train: { totalSteps: 4 } });
    const specs = [PRUNE, train(), PREDICT].map((work) => job(dataset, [trial], work));
    const first: ReturnType<typeof results>[] = [];
    const ids: string[] = [];
    for (const spec of specs) {
      ids.push(await submit(client, spec));
      first.push(results(await events(client, ids.at(-1)!)));
    }
    await sleep(1.5 * MS);
    await run(client, job(dataset, [anyTrial('another')], PRUNE));
    await expect(client.getJob(ids[0]!)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.watchJob(ids[1]!).next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const jobs = readdirSync(join(place.folder, 'state', 'jobs'));
    expect(jobs).toHaveLength(1);

    const files = ['masks.safetensors', 'adapter', 'predictions.validation.safetensors'];
    const written = () =>
      files.map((file) => statSync(join(place.root, 'trials/kept', file)).mtimeMs);
    const before = written();
    // As after a crash between the adapter and their removal.
    const left = join(place.root, 'trials/kept/checkpoints');
    mkdirSync(join(left, 'step-3'), { recursive: true });
    for (const [i, spec] of specs.entries()) {
      expect((await client.submitJob(ids[i]!, specDigest(spec), spec)).created).toBe(true);
      expect(results(await events(client, ids[i]!))).toEqual(first[i]);
    }
    expect(written()).toEqual(before);
    expect(existsSync(left)).toBe(false);
  });
});
