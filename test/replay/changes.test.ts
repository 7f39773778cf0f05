/** What users change of a sweep that runs: further trials, failed ones again, one no more. */
import { ApplicationFailure } from '@temporalio/common';
import {
  CANCELLED,
  changeUpdate,
  setModeUpdate,
  statusQuery,
  type Change,
  type JobOutcome,
} from '../../workflows/messages';
import {
  describeWithServer,
  readyTrainer,
  SUCCEEDED,
  until,
  type ScriptedPool,
} from './scripted-server';

const EXTEND: Change = {
  kind: 'extend',
  request: { extension: { seeds: [3] }, maxCohort: 4 },
};

const NOTHING = { cohorts: [], failed: 0, cancelled: 0, left: [], after: [] };

/** A trainer whose jobs end when they are told to. */
function holdJobs() {
  const held: ((outcome: JobOutcome) => void)[] = [];
  return {
    held,
    answer: () => new Promise<JobOutcome>((resolve) => void held.push(resolve)),
    release: (outcome = SUCCEEDED) => {
      for (const end of held.splice(0)) end(outcome);
    },
  };
}

describeWithServer('a sweep that is changed while it runs', (server) => {
  test('takes up an extension once, while a cohort runs, and before it ends', async () => {
    const first = holdJobs();
    const asked: string[] = [];
    const trainer = await server.withTrainer(
      { c1: ['a'], c2: ['b'] },
      ({ cohortId, work }) => (cohortId === 'c1' && work === 'prune' ? first.answer() : SUCCEEDED),
      {
        activities: {
          extendPlan: ({ planDigest }: { planDigest: string }) => {
            asked.push(planDigest);
            const cohorts = ['c1', 'c2'].map((id) => ({ id, dataset: 'x' }));
            return { planDigest: 'd, extended', cohorts, hasSearch: false };
          },
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(() => first.held.length === 1);
      for (const change of [EXTEND, EXTEND])
        await handle.executeUpdate(changeUpdate, { args: [change] });
      await until(() => trainer.jobs.some(({ cohortId }) => cohortId === 'c2'));
      first.release();
      expect(await handle.result()).toMatchObject({
        ...{ done: 2, failed: 0 },
        cohorts: { c1: 'done', c2: 'done' },
      });
    });
    expect(asked).toEqual(['d', 'd, extended']);
    const of = (id: string) => trainer.jobs.filter(({ cohortId }) => cohortId === id);
    expect(of('c2').map(({ work }) => work)).toEqual(['prune', 'train', 'predict']);
    expect(new Set(of('c2').map(({ planDigest }) => planDigest))).toEqual(new Set(['d, extended']));
  });

  test('says why an extension is impossible, and goes on', async () => {
    const first = holdJobs();
    const trainer = await server.withTrainer({ c1: ['a'] }, first.answer, {
      activities: {
        extendPlan: () => {
          throw ApplicationFailure.nonRetryable('no such pruner', 'ConfigError');
        },
      },
    });
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(() => first.held.length === 1);
      await handle.executeUpdate(changeUpdate, { args: [EXTEND] });
      const ending = setInterval(() => first.release(), 50);
      expect(await handle.result()).toMatchObject({ done: 1, notChanged: 'no such pruner' });
      clearInterval(ending);
    });
  });

  test('runs failed trials again under new job ids once their cohort has ended', async () => {
    const second = holdJobs();
    const failed = { a: { reason: 'non_finite', message: 'loss is NaN' } };
    let tries = 0;
    const trainer = await server.withTrainer(
      { c1: ['a'], c2: ['b'] },
      ({ cohortId, work }) => {
        if (cohortId === 'c2' && work === 'train') return second.answer();
        const isFirst = cohortId === 'c1' && work === 'train' && tries++ === 0;
        return isFirst ? { ...SUCCEEDED, failedTrials: failed } : SUCCEEDED;
      },
      {
        activities: {
          forgetOutcomes: ({ trials, busy }: { trials: string[]; busy: string[] }) =>
            busy.includes('c1')
              ? { ...NOTHING, left: trials, after: ['c1'] }
              : { ...NOTHING, cohorts: ['c1'], failed: 1 },
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1', 'c2']);
      await until(() => second.held.length === 1 && trainer.evaluated.length === 1);
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'retry', trials: ['a'] }] });
      await until(() => trainer.evaluated.length === 2);
      second.release();
      expect(await handle.result()).toMatchObject({ done: 2, failed: 0 });
    });
    const generations = trainer.jobs
      .filter(({ cohortId, work }) => cohortId === 'c1' && work === 'train')
      .map(({ generation }) => generation);
    expect(generations).toEqual(['r-1', 'rr1-1']);
  });

  test('goes on from a checkpoint without a trial that is cancelled', async () => {
    const training = holdJobs();
    let isHeld = true;
    const trainer = await server.withTrainer(
      { c1: ['a', 'b'] },
      ({ work }) => (work === 'train' && isHeld ? training.answer() : SUCCEEDED),
      {
        activities: {
          endTrials: ({ trials, busy }: { trials: string[]; busy: string[] }) => ({
            ...{ cancelled: 0, missing: [] },
            inCohorts: { [busy[0]!]: trials },
          }),
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(() => training.held.length === 1);
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'cancel', trials: ['a'] }] });
      await until(() => trainer.cancelled.length > 0);
      expect(trainer.cancelled).toEqual(['checkpoint']);
      training.release({ state: 'interrupted', failure: null, failedTrials: {} });
      await until(() => training.held.length === 1);
      expect(trainer.jobs.at(-1)).toMatchObject({ work: 'train', trials: ['b'] });
      isHeld = false;
      training.release();
      expect(await handle.result()).toMatchObject({
        ...{ done: 1, cancelled: 1 },
        cohorts: { c1: 'done' },
      });
    });
    expect(trainer.evaluated).toEqual([expect.objectContaining({ failed: { a: CANCELLED } })]);
  });

  test('gives a cancelled trial its outcome even if its cohort was through with it', async () => {
    const evaluation = holdJobs();
    const asked: string[][] = [];
    const trainer = await server.withTrainer({ c1: ['a', 'b'] }, () => SUCCEEDED, {
      activities: {
        evaluateTrials: async () => {
          await evaluation.answer();
          return { done: 1, failed: 0, cancelled: 0, measured: 1 };
        },
        endTrials: ({ trials, busy }: { trials: string[]; busy: string[] }) => {
          asked.push(busy);
          if (busy.length === 0) return { cancelled: 1, missing: [], inCohorts: {} };
          return { cancelled: 0, missing: [], inCohorts: { c1: trials } };
        },
      },
    });
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(() => evaluation.held.length === 1);
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'cancel', trials: ['a'] }] });
      await until(() => asked.length === 1);
      evaluation.release();
      expect(await handle.result()).toMatchObject({ done: 1, cancelled: 1 });
    });
    expect(asked).toEqual([['c1'], []]);
  });

  test('ends a cancelled trial that waits for a trainer at once', async () => {
    const pool: ScriptedPool = { trainers: [], graceSeconds: 60 };
    const trainer = await server.withTrainer({ c1: ['a', 'b'] }, () => SUCCEEDED, {
      pool,
      activities: {
        endTrials: ({ trials }: { trials: string[] }) => ({
          ...{ cancelled: 0, missing: [], inCohorts: { c1: trials } },
        }),
      },
    });
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(async () => {
        const { cohorts } = await handle.query(statusQuery);
        return cohorts.c1 === 'running';
      });
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'cancel', trials: ['a'] }] });
      await until(() => trainer.evaluated.length === 1);
      expect(trainer.evaluated[0]).toMatchObject({ trials: ['a'], failed: { a: CANCELLED } });
      pool.trainers = [readyTrainer('late')];
      await until(() => trainer.evaluated.length === 2);
      expect(await handle.result()).toMatchObject({ done: 1, cancelled: 1 });
      await trainer.findPool().terminate();
    });
    expect(trainer.jobs.every(({ trials }) => trials.join() === 'b')).toBe(true);
  });

  test('makes changes by what is running: none starts meanwhile', async () => {
    const [first, ending, looking] = [holdJobs(), holdJobs(), holdJobs()];
    const order: string[] = [];
    const trainer = await server.withTrainer(
      { c1: ['a'], c2: ['b'] },
      ({ cohortId, work }) => {
        order.push(`${work} ${cohortId}`);
        return cohortId === 'c1' && work === 'prune' ? first.answer() : SUCCEEDED;
      },
      {
        activities: {
          listUnfinishedCohorts: async () => {
            await looking.answer();
            order.push('looked');
            return ['c1', 'c2'];
          },
          forgetOutcomes: () => {
            order.push('retry');
            return NOTHING;
          },
          endTrials: async () => {
            await ending.answer();
            order.push('cancel');
            return { cancelled: 0, missing: [], inCohorts: {} };
          },
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1', 'c2'], { maxParallel: 1 });
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'retry', trials: ['a'] }] });
      await until(() => looking.held.length === 1);
      looking.release();
      await until(() => first.held.length === 1);
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'cancel', trials: ['b'] }] });
      await until(() => ending.held.length === 1);
      first.release();
      await until(() => trainer.evaluated.length === 1);
      ending.release();
      await handle.result();
    });
    expect(order.indexOf('looked')).toBeLessThan(order.indexOf('retry'));
    expect(order.indexOf('cancel')).toBeLessThan(order.indexOf('prune c2'));
  });

  test('takes no change while it is being cancelled', async () => {
    const pruning = holdJobs();
    const trainer = await server.withTrainer({ c1: ['a'] }, pruning.answer);
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1']);
      await until(() => pruning.held.length === 1);
      await handle.executeUpdate(setModeUpdate, { args: ['cancel'] });
      await expect(handle.executeUpdate(changeUpdate, { args: [EXTEND] })).rejects.toMatchObject({
        cause: { type: 'Cancelling', message: 'the sweep is being cancelled' },
      });
      pruning.release({ state: 'cancelled', failure: null, failedTrials: {} });
      await handle.result();
    });
  });
});
