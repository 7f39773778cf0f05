/** What a sweep starts, how it ends what it did not start, and how often it writes its report. */
import type { WorkflowHandle } from '@temporalio/client';
import { setModeUpdate, type JobOutcome } from '../../workflows/messages';
import { describeWithServer, SUCCEEDED, until } from './scripted-server';

describeWithServer('a sweep of many cohorts', (server) => {
  test('that is cancelled starts no waiting cohort, and ends them all in one go', async () => {
    const aborts: ((outcome: JobOutcome) => void)[] = [];
    const { worker, jobs, notStarted, start } = await server.withTrainer(
      { c1: ['a'], c2: ['b', 'c'], c3: ['d'], c4: ['e', 'f'] },
      () => new Promise((resolve) => aborts.push(resolve)),
      { onCancel: () => aborts.forEach((end) => end(CANCELLED)) },
    );
    await worker.runUntil(async () => {
      const handle = await start(['c1', 'c2', 'c3', 'c4']);
      await until(() => jobs.length === 2);
      await handle.executeUpdate(setModeUpdate, { args: ['cancel'] });
      expect(await handle.result()).toMatchObject({ done: 0, failed: 0, cancelled: 6 });
      expect(await countChildren(handle)).toBe(2);
    });
    expect(notStarted).toEqual(['c3', 'c4']);
  });

  test('that is cancelled while its data is prepared starts none at all', async () => {
    let finish: (() => void) | undefined;
    const { worker, notStarted, start } = await server.withTrainer(
      { c1: ['a'], c2: ['b'] },
      () => SUCCEEDED,
      { prepareData: () => new Promise((resolve) => (finish = resolve)) },
    );
    await worker.runUntil(async () => {
      const handle = await start(['c1', 'c2']);
      await until(() => finish !== undefined);
      await handle.executeUpdate(setModeUpdate, { args: ['cancel'] });
      expect(await handle.result()).toMatchObject({ cancelled: 2 });
      expect(await countChildren(handle)).toBe(0);
      finish!();
    });
    expect(notStarted.toSorted()).toEqual(['c1', 'c2']);
  });

  test('starts the unfinished ones alone, and writes few reports', async () => {
    const cohorts = Array.from({ length: 20 }, (_, i) => `c${i}`);
    const unfinished = cohorts.slice(4, 9);
    const { worker, jobs, reports, start } = await server.withTrainer(
      Object.fromEntries(cohorts.map((id) => [id, unfinished.includes(id) ? [id] : []])),
      () => SUCCEEDED,
    );
    await worker.runUntil(async () => {
      const handle = await start(cohorts);
      const status = await handle.result();
      expect(status).toMatchObject({ done: 5, failed: 0, cancelled: 0 });
      expect(Object.values(status.cohorts)).toEqual(Array(20).fill('done'));
      expect(await countChildren(handle)).toBe(5);
    });
    expect(new Set(jobs.map(({ cohortId }) => cohortId))).toEqual(new Set(unfinished));
    // All but the last, which is written at the end, are five seconds apart.
    const early = reports.slice(0, -1);
    expect(early.length).toBeGreaterThan(0);
    for (const [i, time] of early.slice(1).entries())
      expect(time - early[i]!).toBeGreaterThan(4500);
  });
});

describeWithServer(
  'a sweep whose history becomes long',
  (server) => {
    test('goes on in a new run of its workflow, which counts on', async () => {
      const cohorts = Array.from({ length: 8 }, (_, i) => `c${i}`);
      const trials = Object.fromEntries(cohorts.map((id) => [id, [id]]));
      const { worker, jobs, start } = await server.withTrainer(trials, (job) => {
        // As its result file would have it, the cohort is finished from now on.
        if (job.work === 'predict') trials[job.cohortId] = [];
        return SUCCEEDED;
      });
      await worker.runUntil(async () => {
        const handle = await start(cohorts);
        expect(await handle.result()).toMatchObject({ done: 8, failed: 0, cancelled: 0 });
        const { runId } = await handle.describe();
        expect(runId).not.toBe(handle.firstExecutionRunId);
        expect(await countChildren(handle)).toBeLessThan(8);
      });
      expect(jobs.filter(({ work }) => work === 'train')).toHaveLength(8);
    });
  },
  ['limit.historyCount.suggestContinueAsNew=50'],
);

const CANCELLED: JobOutcome = { state: 'cancelled', failure: null, failedTrials: {} };

/** How many cohorts a sweep has started. */
async function countChildren(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return events!.filter(
    ({ startChildWorkflowExecutionInitiatedEventAttributes: started }) => started,
  ).length;
}
