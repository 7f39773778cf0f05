/** A search, whose choices decide what runs next. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  changeUpdate,
  setModeUpdate,
  type JobOutcome,
  type JobRef,
} from '../../workflows/messages';
import { describeWithServer, failedJob, SUCCEEDED, until } from './scripted-server';

const TRIALS = { s1: ['a', 'b'], s2: ['c'], s3: ['d'], k1: ['x'], k2: ['y', 'z'] };
const SEARCHED = ['s1', 's2', 's3'];
const CHOSEN = { chosen: ['k1', 'k2'] };
const hasSearch = true;

/** Cohorts by the digest of the plan that their jobs were of. */
function cohortsByPlan(jobs: readonly JobRef[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { planDigest, cohortId } of jobs)
    found[planDigest] = [...new Set([...(found[planDigest] ?? []), cohortId])].toSorted();
  return found;
}

describeWithServer('a sweep with a search', (server) => {
  test('makes its choices once all its cohorts have ended, and runs the chosen ones', async () => {
    const trainer = await server.withTrainer({ ...TRIALS }, () => SUCCEEDED, CHOSEN);
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(SEARCHED, { hasSearch });
      expect(await handle.result()).toMatchObject({
        ...{ mode: 'run', done: 7, failed: 0, cancelled: 0 },
        cohorts: { s1: 'done', s2: 'done', s3: 'done', k1: 'done', k2: 'done' },
      });
    });
    expect(trainer.decisions).toEqual(['d']);
    expect(cohortsByPlan(trainer.jobs)).toEqual({ d: SEARCHED, 'd, decided': ['k1', 'k2'] });
  });

  test('decides at each rung, and goes on with what each decision adds', async () => {
    const trainer = await server.withTrainer({ ...TRIALS }, () => SUCCEEDED, {
      rungs: [['s3'], ['k1']],
      chosen: ['k2'],
    });
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['s1', 's2'], { hasSearch });
      expect(await handle.result()).toMatchObject({
        cohorts: { s1: 'done', s2: 'done', s3: 'done', k1: 'done', k2: 'done' },
      });
    });
    expect(trainer.decisions).toEqual(['d', 'd, decided', 'd, decided, decided']);
    expect(cohortsByPlan(trainer.jobs)).toEqual({
      d: ['s1', 's2'],
      'd, decided': ['s3'],
      'd, decided, decided': ['k1'],
      'd, decided, decided, decided': ['k2'],
    });
  });

  test('decides before its slowest cohort ends if it is asynchronous', async () => {
    const endings = new Map<string, (outcome: JobOutcome) => void>();
    const ended: string[] = [];
    const trials = { s1: ['a'], s2: ['b'], n1: ['c'], n2: ['d'], k1: ['x'] };
    let decisions = 0;
    /** What follows once these have ended. */
    const follow = (): string[] => [
      ...(ended.includes('s1') ? ['n1'] : []),
      ...(ended.includes('s2') ? ['n2'] : []),
      ...(['n1', 'n2'].every((id) => ended.includes(id)) ? ['k1'] : []),
    ];
    const trainer = await server.withTrainer(
      trials,
      ({ work, cohortId }) =>
        work === 'prune' && cohortId.startsWith('s')
          ? new Promise<JobOutcome>((resolve) => void endings.set(cohortId, resolve))
          : SUCCEEDED,
      {
        activities: {
          listUnfinishedCohorts: () => ['s1', 's2'],
          evaluateTrials: ({ cohortId }: { cohortId: string }) => {
            ended.push(cohortId);
            return { done: 1, failed: 0, cancelled: 0 };
          },
          decideChoices: () => ({
            planDigest: `d${++decisions}`,
            cohorts: ['s1', 's2', ...follow()].map((id) => ({ id, dataset: 'x' })),
            hasSearch: !follow().includes('k1'),
            ...(follow().includes('k1') ? {} : { decidesEarly: true }),
          }),
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['s1', 's2'], { hasSearch, decidesEarly: true });
      await until(() => endings.size === 2);
      endings.get('s1')!(SUCCEEDED);
      // The second one is still at its first stage.
      await until(() => ended.includes('n1'));
      expect(ended).toEqual(['s1', 'n1']);
      endings.get('s2')!(SUCCEEDED);
      expect(await handle.result()).toMatchObject({
        cohorts: { s1: 'done', s2: 'done', n1: 'done', n2: 'done', k1: 'done' },
      });
      expect(ended).toEqual(['s1', 'n1', 's2', 'n2', 'k1']);
    });
  });

  test('decides nothing early while a trial is yet to be forgotten that runs again', async () => {
    const endings = new Map<string, (outcome: JobOutcome) => void>();
    let asked = 0;
    const trainer = await server.withTrainer(
      { s1: ['a', 'b'], s2: ['c'], k1: ['x'] },
      ({ work, cohortId }) =>
        work === 'prune' && cohortId.startsWith('s')
          ? new Promise<JobOutcome>((resolve) => void endings.set(cohortId, resolve))
          : SUCCEEDED,
      {
        chosen: ['k1'],
        activities: {
          forgetOutcomes: ({ busy }: { busy: string[] }) => {
            asked++;
            const left = busy.includes('s1') ? ['a'] : [];
            const after = left.length > 0 ? ['s1'] : [];
            return { cohorts: [], failed: 0, cancelled: 0, left, after };
          },
        },
      },
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['s1', 's2'], { hasSearch, decidesEarly: true });
      await until(() => endings.size === 2);
      await handle.executeUpdate(changeUpdate, { args: [{ kind: 'retry', trials: ['a'] }] });
      await until(() => asked === 1);
      endings.get('s2')!(SUCCEEDED);
      await until(() => trainer.evaluated.length === 1);
      await sleep(500);
      expect(trainer.decisions).toEqual([]);
      endings.get('s1')!(SUCCEEDED);
      expect(await handle.result()).toMatchObject({ done: 4, failed: 0 });
      expect(trainer.decisions).toEqual(['d']);
      expect(asked).toBe(2);
    });
  });

  test('makes none if it was cancelled meanwhile, and says so', async () => {
    const endings: ((outcome: JobOutcome) => void)[] = [];
    const trainer = await server.withTrainer(
      { ...TRIALS },
      () => new Promise<JobOutcome>((resolve) => void endings.push(resolve)),
      CHOSEN,
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(SEARCHED, { hasSearch });
      await until(() => trainer.jobs.length === 2);
      await handle.executeUpdate(setModeUpdate, { args: ['cancel'] });
      for (const end of endings) end({ state: 'cancelled', failure: null, failedTrials: {} });
      expect(await handle.result()).toMatchObject({
        cancelled: 4,
        stopped: 'cancelled during its search',
      });
    });
    expect(trainer.decisions).toEqual([]);
  });

  test('makes none if it stopped because its cohorts fail alike', async () => {
    const trainer = await server.withTrainer(
      { ...TRIALS },
      () => failedJob('refused', 'no such backbone'),
      CHOSEN,
    );
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(SEARCHED, { hasSearch, maxFailures: 3 });
      expect(await handle.result()).toMatchObject({
        failed: 4,
        stopped: expect.stringContaining('no such backbone') as string,
      });
    });
    expect(trainer.decisions).toEqual([]);
  });

  test('an asynchronous one stops, too, while its last cohort runs on', async () => {
    const undecided = { planDigest: 'd', hasSearch, decidesEarly: true };
    const cohorts = SEARCHED.map((id) => ({ id, dataset: 'x' }));
    const trainer = await server.withTrainer(
      { ...TRIALS },
      async ({ cohortId }) => {
        if (cohortId === 's3') await until(() => trainer.evaluated.length === 2);
        return failedJob('refused', 'no such backbone');
      },
      { activities: { decideChoices: () => ({ ...undecided, cohorts }) } },
    );
    await trainer.worker.runUntil(async () => {
      const settings = { hasSearch, decidesEarly: true, maxFailures: 2, maxParallel: 3 };
      const handle = await trainer.start(SEARCHED, settings);
      expect(await handle.result()).toMatchObject({
        failed: 4,
        stopped: expect.stringContaining('no such backbone') as string,
      });
    });
  });
});

describeWithServer(
  'a search whose sweep’s history becomes long',
  (server) => {
    test('is decided once, and later runs go on with the plan that followed', async () => {
      const trials: Record<string, string[]> = Object.fromEntries(
        ['s', 'k'].flatMap((kind) => Array.from({ length: 8 }, (_, i) => [`${kind}${i}`, ['x']])),
      );
      const [searched, chosen] = ['s', 'k'].map((kind) =>
        Object.keys(trials).filter((id) => id.startsWith(kind)),
      ) as [string[], string[]];
      const trainer = await server.withTrainer(
        trials,
        ({ work, cohortId }) => {
          if (work === 'predict') trials[cohortId] = [];
          return SUCCEEDED;
        },
        { chosen },
      );
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(searched, { hasSearch });
        expect(await handle.result()).toMatchObject({ done: 16, failed: 0, cancelled: 0 });
      });
      expect(trainer.decisions).toEqual(['d']);
      expect(cohortsByPlan(trainer.jobs)).toEqual({ d: searched, 'd, decided': chosen });
    });
  },
  ['limit.historyCount.suggestContinueAsNew=50'],
);
