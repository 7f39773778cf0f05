/** Who works where: cohorts on a pool of trainers that come, go and fail. */
import { Context } from '@temporalio/activity';
import { setModeUpdate, type JobOutcome, type JobRef } from '../../workflows/messages';
import { poolQuery, type TrainerReport } from '../../workflows/pool-messages';
import { describeWithServer, failedJob, readyTrainer, SUCCEEDED, until } from './scripted-server';

const TRAIN_MS = 300;
const slowly = async (): Promise<JobOutcome> => {
  await new Promise((resolve) => setTimeout(resolve, TRAIN_MS));
  return SUCCEEDED;
};
const letters = (count: number, prefix = 't') =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const trainedBy = (jobs: readonly JobRef[]) =>
  jobs
    .filter(({ work }) => work === 'train')
    .map(({ trials, trainer }) => [trainer!.name, trials.length] as const);

describeWithServer('a pool', (server) => {
  test('shares one cohort out among free trainers, none larger than they take', async () => {
    const pool = {
      graceSeconds: 60,
      trainers: ['a', 'b', 'c'].map((name) => readyTrainer(name, { maxCohort: 2 })),
    };
    const trials = letters(10);
    const { worker, jobs, evaluated, start } = await server.withTrainer({ c: trials }, slowly, {
      pool,
    });
    await worker.runUntil(async () => {
      const handle = await start(['c']);
      expect(await handle.result()).toMatchObject({ done: 10, failed: 0, cancelled: 0 });
    });
    const parts = trainedBy(jobs);
    expect(new Set(parts.map(([name]) => name))).toEqual(new Set(['a', 'b', 'c']));
    expect(Math.max(...parts.map(([, size]) => size))).toBe(2);
    expect(evaluated.flatMap((each) => each.trials).toSorted()).toEqual(trials.toSorted());
  });

  test('costs few events, and what fails within a workflow task is tried again', async () => {
    let requests = 0;
    const pool = {
      graceSeconds: 60,
      trainers: [readyTrainer('a')],
      onRequest: () => {
        if (++requests === 1) throw new Error('a passing fault');
      },
    };
    const { worker, start, findCohort } = await server.withTrainer(
      { c: ['x'], d: ['y'] },
      () => SUCCEEDED,
      { pool },
    );
    await worker.runUntil(async () => {
      const handle = await start(['c', 'd']);
      expect(await handle.result()).toMatchObject({ done: 2, failed: 0 });
      const lengths = await Promise.all(
        ['c', 'd'].map(async (id) => (await findCohort(id).describe()).historyLength),
      );
      // One of them has an ordinary activity more, with its workflow task.
      const [least, most] = lengths.toSorted((a, b) => a - b);
      expect(least).toBeLessThanOrEqual(40);
      expect(most).toBeGreaterThan(least!);
    });
    expect(requests).toBe(3);
  });

  test('gives each cohort its own trainer where there are enough cohorts', async () => {
    const pool = { graceSeconds: 60, trainers: ['a', 'b'].map((name) => readyTrainer(name)) };
    const cohorts = letters(6, 'c');
    const { worker, jobs, start } = await server.withTrainer(
      Object.fromEntries(cohorts.map((id) => [id, [`${id}x`, `${id}y`]])),
      slowly,
      { pool },
    );
    await worker.runUntil(async () => {
      const handle = await start(cohorts);
      expect(await handle.result()).toMatchObject({ done: 12 });
    });
    const parts = trainedBy(jobs);
    expect(parts.slice(0, 4).every(([, size]) => size === 2)).toBe(true);
    expect(new Set(parts.map(([name]) => name))).toEqual(new Set(['a', 'b']));
  });

  test('uses a trainer that comes later, and none of another kind', async () => {
    const pool = { graceSeconds: 60, trainers: [readyTrainer('other', { kind: 'toy on gpu' })] };
    const { worker, jobs, start } = await server.withTrainer({ c: ['x'] }, () => SUCCEEDED, {
      pool,
    });
    await worker.runUntil(async () => {
      const handle = await start(['c']);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(jobs).toHaveLength(0);
      pool.trainers = [...pool.trainers, readyTrainer('late')];
      expect(await handle.result()).toMatchObject({ done: 1 });
    });
    expect(trainedBy(jobs)).toEqual([['late', 1]]);
  });

  test('gives the trials of a trainer that stays away to others, as new jobs', async () => {
    const pool = { graceSeconds: 1, trainers: [readyTrainer('a')] };
    const { worker, jobs, start, findPool, cancelled } = await server.withTrainer(
      { c: ['x', 'y'] },
      ({ trainer, work }) =>
        trainer!.name === 'a' && work === 'train' ? endless() : Promise.resolve(SUCCEEDED),
      { pool },
    );
    await worker.runUntil(async () => {
      const handle = await start(['c']);
      await until(() => jobs.some(({ work }) => work === 'train'));
      pool.trainers = [readyTrainer('a', { state: 'away', why: 'dead' })];
      await until(async () => (await findPool().query(poolQuery)).members[0]!.state === 'away');
      // It is the only one, so its cohort waits for it.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect((await findPool().query(poolQuery)).leases).toHaveLength(1);
      const { events } = await findPool().fetchHistory();
      const timers = events!.filter(({ timerStartedEventAttributes: timer }) => timer);
      expect(timers.length).toBeLessThan(5);
      pool.trainers = [...pool.trainers, readyTrainer('b')];
      expect(await handle.result()).toMatchObject({ done: 2, failed: 0 });
      // What it still runs, nobody reads: it is stopped when it is back.
      await start(['c'], {}, 'again');
      pool.trainers = ['a', 'b'].map((name) => readyTrainer(name));
      await until(() => cancelled.length > 0);
    });
    expect(cancelled).toEqual(['abort']);
    const trained = jobs.filter(({ work }) => work === 'train');
    expect(trained.map(({ trainer }) => trainer!.name)).toContain('b');
    expect(new Set(trained.map(({ generation }) => generation)).size).toBeGreaterThan(1);
  });

  test('sets a trainer aside that fails time after time; its trials end elsewhere', async () => {
    const pool = { graceSeconds: 60, trainers: ['bad', 'good'].map((name) => readyTrainer(name)) };
    const cohorts = letters(12, 'c');
    const { worker, jobs, start } = await server.withTrainer(
      Object.fromEntries(cohorts.map((id) => [id, [id]])),
      ({ trainer }) => (trainer!.name === 'bad' ? failedJob('internal') : slowly()),
      { pool },
    );
    await worker.runUntil(async () => {
      const handle = await start(cohorts);
      expect(await handle.result()).toMatchObject({ done: 12, failed: 0, cancelled: 0 });
    });
    // Three tries of a job, three times.
    expect(jobs.filter(({ trainer }) => trainer!.name === 'bad')).toHaveLength(9);
  });

  test('leaves a slow trainer out where the others are sooner done without it', async () => {
    const pool = {
      graceSeconds: 60,
      trainers: ['slow', 'fast'].map((name) => readyTrainer(name)),
    };
    const cohorts = letters(24, 'c');
    const { worker, jobs, start } = await server.withTrainer(
      Object.fromEntries(cohorts.map((id) => [id, [id]])),
      async ({ trainer, work }) => {
        const rowsPerSecond = trainer!.name === 'slow' ? 5 : 100;
        await new Promise((resolve) => setTimeout(resolve, work === 'train' ? 200 : 0));
        return { ...SUCCEEDED, ...(work === 'train' && { rowsPerSecond }) };
      },
      { pool },
    );
    await worker.runUntil(async () => {
      const handle = await start(cohorts);
      expect(await handle.result()).toMatchObject({ done: 24, failed: 0, cancelled: 0 });
    });
    const slow = trainedBy(jobs).filter(([name]) => name === 'slow');
    // Its first part may have ended before there was another to compare with.
    expect([3, 4]).toContain(slow.length);
  });

  test('serves two sweeps in turn by time, and a higher priority first', async () => {
    const pool = { graceSeconds: 60, trainers: [readyTrainer('a')] };
    const cohorts = ['l1', 'l2', 'l3', 'l4', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8', 'u1'];
    const order: string[] = [];
    const { worker, start } = await server.withTrainer(
      Object.fromEntries(cohorts.map((id) => [id, [id]])),
      async ({ cohortId, work }) => {
        if (work !== 'train') return SUCCEEDED;
        order.push(cohortId);
        await new Promise((resolve) => setTimeout(resolve, cohortId.startsWith('l') ? 1600 : 300));
        return SUCCEEDED;
      },
      { pool },
    );
    await worker.runUntil(async () => {
      const { results } = {
        results: [
          await start(
            cohorts.filter((id) => id.startsWith('l')),
            {},
            'long',
          ),
          await start(
            cohorts.filter((id) => id.startsWith('s')),
            {},
            'short',
          ),
        ],
      };
      await until(() => order.length === 3);
      const placement = { priority: 2, kind: 'toy on cpu' };
      await (await start(['u1'], { placement }, 'urgent')).result();
      for (const handle of results) await handle.result();
    });
    // The long one gets a turn after some short ones, not after each.
    const firstSix = order.filter((id) => id !== 'u1').slice(0, 7);
    expect(firstSix.filter((id) => id.startsWith('s')).length).toBeGreaterThanOrEqual(4);
    expect(firstSix.filter((id) => id.startsWith('l')).length).toBeGreaterThanOrEqual(2);
    expect(order.indexOf('u1')).toBeLessThanOrEqual(5);
  });

  test('has its trainer back from a paused sweep, and forgets a cancelled one', async () => {
    const pool = { graceSeconds: 60, trainers: [readyTrainer('a')] };
    const endings: ((outcome: JobOutcome) => void)[] = [];
    let block = true;
    const { worker, start, jobs, findPool } = await server.withTrainer(
      { c1: ['x'], c2: ['y'] },
      () => (block ? new Promise((resolve) => endings.push(resolve)) : SUCCEEDED),
      {
        pool,
        onCancel: () =>
          endings
            .splice(0)
            .forEach((end) => end({ state: 'interrupted', failure: null, failedTrials: {} })),
      },
    );
    await worker.runUntil(async () => {
      const handle = await start(['c1', 'c2']);
      await until(() => jobs.length === 1);
      await handle.executeUpdate(setModeUpdate, { args: ['pause'] });
      await until(async () => (await findPool().query(poolQuery)).leases.length === 0);
      await until(async () => (await findPool().query(poolQuery)).requests.length === 0);
      block = false;
      await handle.executeUpdate(setModeUpdate, { args: ['run'] });
      expect(await handle.result()).toMatchObject({ done: 2 });
    });
  });
});

describeWithServer('a pool that somebody ended', (server) => {
  test('is followed by one that knows who works where, and what is lost', async () => {
    const [a, b] = ['a', 'b'].map((name) => readyTrainer(name)) as [TrainerReport, TrainerReport];
    const pool = { graceSeconds: 1, trainers: [a, b] };
    const isFirst = ({ cohortId, trainer }: JobRef) => cohortId === 'c' && trainer!.name === 'a';
    const { worker, jobs, start, findPool } = await server.withTrainer(
      { c: ['x'], d: ['y'], e: ['z'] },
      (job) => (isFirst(job) ? endless() : SUCCEEDED),
      { pool },
    );
    await worker.runUntil(async () => {
      const first = await start(['c']);
      await until(() => jobs.some(isFirst));
      await findPool().terminate('by somebody');
      const second = await start(['d'], {}, '-two');
      expect(await second.result()).toMatchObject({ done: 1 });
      expect(jobs.filter(({ cohortId }) => cohortId === 'd').every((job) => !isOn(job, 'a'))).toBe(
        true,
      );
      const { leases } = await findPool().query(poolQuery);
      expect(leases).toMatchObject([{ address: a.address, trials: 1 }]);

      // It never comes back, as the new pool alone can find.
      pool.trainers = [{ ...a, state: 'away', why: 'as told' }, b];
      expect(await first.result()).toMatchObject({ done: 1, failed: 0 });
      const work = jobs.filter(({ cohortId }) => cohortId === 'c').map((job) => job.trainer!.name);
      expect(work).toEqual(['a', 'b', 'b', 'b']);
    });
  });
});

const isOn = ({ trainer }: JobRef, name: string): boolean => trainer!.name === name;

describeWithServer(
  'a pool whose history becomes long',
  (server) => {
    test('goes on in a new run, with all that it knows', async () => {
      const pool = { graceSeconds: 60, trainers: ['a', 'b'].map((name) => readyTrainer(name)) };
      const cohorts = letters(16, 'c');
      const trials = Object.fromEntries(cohorts.map((id) => [id, [id]]));
      const { worker, jobs, start, findPool } = await server.withTrainer(
        trials,
        async (job) => {
          if (job.work === 'predict') trials[job.cohortId] = [];
          return Promise.resolve(SUCCEEDED);
        },
        { pool },
      );
      await worker.runUntil(async () => {
        const handle = await start(cohorts);
        expect(await handle.result()).toMatchObject({ done: 16, failed: 0, cancelled: 0 });
        const { events } = await findPool().fetchHistory();
        const [started] = events!.map((each) => each.workflowExecutionStartedEventAttributes);
        expect(started!.continuedExecutionRunId).toBeTruthy();
      });
      expect(jobs.filter(({ work }) => work === 'train')).toHaveLength(16);
    });
  },
  ['limit.historyCount.suggestContinueAsNew=60'],
);

/** A job whose watch ends only by its cancellation. */
async function endless(): Promise<JobOutcome> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  try {
    return await context.cancelled;
  } finally {
    clearInterval(beat);
  }
}
