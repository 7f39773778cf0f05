/** What the workflows decide about jobs that end well, badly, or not at all. */
import { setModeUpdate, statusQuery, type JobOutcome } from '../../workflows/messages';
import { describeWithServer, failedJob, SUCCEEDED, until } from './scripted-server';

describeWithServer('the workflows', (server) => {
  test('a cohort too large for memory is halved until it fits; both halves go on', async () => {
    const { worker, jobs, execute } = await server.withTrainer(
      { c: ['a', 'b', 'c', 'd'] },
      ({ work, trials }) =>
        work === 'train' && trials.length > 1 ? failedJob('out_of_memory') : SUCCEEDED,
    );
    await expect(worker.runUntil(execute('c'))).resolves.toEqual({
      done: 4,
      failed: 0,
      cancelled: 0,
    });
    expect(
      jobs.filter(({ work }) => work === 'train').map(({ trials }) => trials.join('')),
    ).toEqual(['abcd', 'ab', 'a', 'b', 'cd', 'c', 'd']);
  });

  test('a trial that kills its trainer fails alone; its neighbours are trained', async () => {
    const { worker, evaluated, execute } = await server.withTrainer(
      { c: ['good', 'bad'] },
      ({ work, trials }) =>
        work === 'train' && trials.includes('bad') ? failedJob('quarantined') : SUCCEEDED,
    );
    await expect(worker.runUntil(execute('c'))).resolves.toEqual({
      done: 1,
      failed: 1,
      cancelled: 0,
    });
    expect(Object.keys(evaluated[0]!.failed)).toEqual(['bad']);
  });

  test('a fault of the trainer is retried under a new generation; the third is final', async () => {
    const { worker, jobs, execute } = await server.withTrainer({ c: ['a'] }, () =>
      failedJob('internal'),
    );
    await expect(worker.runUntil(execute('c'))).resolves.toMatchObject({
      done: 0,
      failed: 1,
      cancelled: 0,
    });
    expect(jobs.map(({ work, generation }) => `${work} ${generation}`)).toEqual([
      'prune r-0',
      'prune r-1',
      'prune r-2',
    ]);
  });

  test('a trial that fails in one stage is not sent to the next', async () => {
    const { worker, jobs, execute } = await server.withTrainer({ c: ['a', 'nan'] }, ({ work }) =>
      work === 'train'
        ? {
            ...SUCCEEDED,
            failedTrials: { nan: { reason: 'non_finite', message: 'loss is NaN at step 3' } },
          }
        : SUCCEEDED,
    );
    await expect(worker.runUntil(execute('c'))).resolves.toEqual({
      done: 1,
      failed: 1,
      cancelled: 0,
    });
    expect(jobs.at(-1)).toMatchObject({ work: 'predict', trials: ['a'] });
  });

  test('an interrupted job is submitted again under the same generation', async () => {
    let times = 0;
    const { worker, jobs, execute } = await server.withTrainer({ c: ['a'] }, () =>
      times++ === 0 ? { state: 'interrupted', failure: null, failedTrials: {} } : SUCCEEDED,
    );
    await worker.runUntil(execute('c'));
    expect(jobs.slice(0, 2).map(({ work, generation }) => `${work} ${generation}`)).toEqual([
      'prune r-0',
      'prune r-0',
    ]);
  });

  test('pause stops the job at a checkpoint, resume submits it again', async () => {
    let interrupt: (outcome: JobOutcome) => void = () => undefined;
    let paused = false;
    const { worker, jobs, cancelled, start } = await server.withTrainer({ c: ['a'] }, ({ work }) =>
      work === 'train' && !paused
        ? new Promise<JobOutcome>((resolve) => (interrupt = resolve))
        : SUCCEEDED,
    );
    await worker.runUntil(async () => {
      const handle = await start(['c']);
      await until(() => jobs.some(({ work }) => work === 'train'));
      await handle.executeUpdate(setModeUpdate, { args: ['pause'] });
      await until(() => cancelled.length > 0);
      paused = true;
      interrupt({ state: 'interrupted', failure: null, failedTrials: {} });
      await until(async () => (await handle.query(statusQuery)).mode === 'pause');
      expect(jobs.filter(({ work }) => work === 'train')).toHaveLength(1);
      await handle.executeUpdate(setModeUpdate, { args: ['run'] });
      expect(await handle.result()).toMatchObject({ done: 1, failed: 0, cancelled: 0 });
    });
    expect(cancelled).toEqual(['checkpoint']);
    expect(jobs.filter(({ work }) => work === 'train').map(({ generation }) => generation)).toEqual(
      ['r-1', 'r-1'],
    );
  });

  test('cancel ends running jobs, gives every trial its state, and cannot be undone', async () => {
    const aborts: ((outcome: JobOutcome) => void)[] = [];
    const { worker, jobs, cancelled, start } = await server.withTrainer(
      { c1: ['a'], c2: ['b', 'c'], c3: ['d'] },
      () => new Promise<JobOutcome>((resolve) => aborts.push(resolve)),
    );
    await worker.runUntil(async () => {
      const handle = await start(['c1', 'c2', 'c3']);
      await until(() => jobs.length === 2);
      await handle.executeUpdate(setModeUpdate, { args: ['cancel'] });
      await expect(handle.executeUpdate(setModeUpdate, { args: ['run'] })).rejects.toThrow();
      await until(() => cancelled.length >= 2);
      for (const end of aborts) end({ state: 'cancelled', failure: null, failedTrials: {} });
      expect(await handle.result()).toMatchObject({ done: 0, failed: 0, cancelled: 4 });
    });
    expect(new Set(cancelled)).toEqual(new Set(['abort']));
    expect(jobs).toHaveLength(2);
  });

  test('trials are trained until each step of their evaluations, and predicted there', async () => {
    const measured: [number, string][] = [];
    const { worker, start, jobs, evaluated } = await server.withTrainer(
      { c1: ['a', 'b', 'c'] },
      (job) =>
        job.work === 'predict' && job.step === 5
          ? { ...SUCCEEDED, failedTrials: { a: { reason: 'internal', message: 'it was' } } }
          : SUCCEEDED,
      {
        activities: {
          // c was evaluated before.
          listEvaluations: () => [
            { step: 5, trials: ['a', 'b'] },
            { step: 10, trials: ['a', 'b', 'c'] },
          ],
          evaluateOnTheWay: ({ step, trials }: { step: number; trials: string[] }) =>
            void measured.push([step, trials.join()]),
        },
      },
    );
    await worker.runUntil(async () => {
      const cohorts = [{ id: 'c1', dataset: 'x', isEvaluated: true as const }];
      const handle = await start(['c1'], { cohorts });
      expect(await handle.result()).toMatchObject({ done: 2, failed: 1 });
    });
    expect(jobs.map(({ work, step, trials }) => [work, step, trials.join()])).toEqual([
      ['prune', undefined, 'a,b,c'],
      ['train', 5, 'a,b'],
      ['predict', 5, 'a,b'],
      ['train', 10, 'b,c'],
      ['predict', 10, 'b,c'],
      ['train', undefined, 'b,c'],
      ['predict', undefined, 'b,c'],
    ]);
    expect(measured).toEqual([
      [5, 'b'],
      [10, 'b,c'],
    ]);
    expect(evaluated).toHaveLength(1);
  });

  test('a job that fails for good fails its trials, and the sweep goes on to its end', async () => {
    const { worker, start } = await server.withTrainer({ c1: ['a'], c2: ['b'] }, ({ cohortId }) =>
      cohortId === 'c1' ? failedJob('bad_artifact') : SUCCEEDED,
    );
    await worker.runUntil(async () => {
      const handle = await start(['c1', 'c2']);
      expect(await handle.result()).toMatchObject({
        done: 1,
        failed: 1,
        cohorts: { c1: 'done', c2: 'done' },
      });
    });
  });
});
