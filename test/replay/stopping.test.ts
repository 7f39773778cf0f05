/** When sweeps and cohorts stop before their end: cancelled from outside, or failing alike. */
import { findFailingActivities } from '../../orchestrator/cli/failing-activities';
import { workflowState } from '../../orchestrator/cli/follow';
import type { JobOutcome, JobRef } from '../../workflows/messages';
import { describeWithServer, failedJob, SUCCEEDED, until } from './scripted-server';

/** Jobs that run until they are cancelled. */
function endlessJobs() {
  const endings = new Map<string, (outcome: JobOutcome) => void>();
  const key = ({ cohortId, generation }: JobRef) => `${cohortId} ${generation}`;
  return {
    answer: (job: JobRef) =>
      new Promise<JobOutcome>((resolve) => void endings.set(key(job), resolve)),
    onCancel: (job: JobRef) =>
      endings.get(key(job))?.({ state: 'cancelled', failure: null, failedTrials: {} }),
  };
}

const TRIALS = { c1: ['a'], c2: ['b', 'c'], c3: ['d'], c4: ['e'], c5: ['f'] };

describeWithServer('a sweep that stops before its end', (server) => {
  describe('on a request to cancel from Temporal’s own tools', () => {
    test('cancels the jobs of a sweep, and gives every trial its state', async () => {
      const { answer, onCancel } = endlessJobs();
      const trainer = await server.withTrainer(TRIALS, answer, { onCancel });
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(['c1', 'c2', 'c3']);
        await until(() => trainer.jobs.length === 2);
        await handle.cancel();
        expect(await handle.result()).toMatchObject({
          ...{ mode: 'cancel', done: 0, failed: 0, cancelled: 4 },
          cohorts: { c1: 'cancelled', c2: 'cancelled', c3: 'cancelled' },
        });
      });
      expect(trainer.cancelled).toEqual(['abort', 'abort']);
      expect(trainer.jobs).toHaveLength(2);
    });

    test('cancels the job of one cohort, and no other', async () => {
      const { answer, onCancel } = endlessJobs();
      const trainer = await server.withTrainer(
        TRIALS,
        (job) => (job.cohortId === 'c1' ? answer(job) : SUCCEEDED),
        { onCancel },
      );
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(['c1', 'c2']);
        await until(() => trainer.jobs.some(({ cohortId }) => cohortId === 'c1'));
        await trainer.findCohort('c1').cancel();
        expect(await handle.result()).toMatchObject({ mode: 'run', done: 2, cancelled: 1 });
      });
      expect(trainer.cancelled).toEqual(['abort']);
    });

    test('that terminates a sweep cancels the jobs of its cohorts', async () => {
      const { answer, onCancel } = endlessJobs();
      const trainer = await server.withTrainer(TRIALS, answer, { onCancel });
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(['c1', 'c2', 'c3']);
        await until(() => trainer.jobs.length === 2);
        await handle.terminate('enough');
        for (const [id, cancelled] of [
          ['c1', 1],
          ['c2', 2],
        ] as const)
          // prettier-ignore
          expect(await trainer.findCohort(id).result()).toEqual({ done: 0, failed: 0, cancelled });
      });
      expect(trainer.cancelled).toEqual(['abort', 'abort']);
    });
  });

  describe('because its cohorts fail', () => {
    const CRASH =
      'trainer unix:/tmp/x1/t.sock: FAILED_PRECONDITION: no backbone in /models/roberta';

    test('alike stops after so many, and leaves the other trials to the next start', async () => {
      const trainer = await server.withTrainer(TRIALS, ({ cohortId }) =>
        failedJob('refused', `${CRASH} for ${cohortId}`),
      );
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(['c1', 'c2', 'c3', 'c4', 'c5'], {
          ...{ maxParallel: 1, maxFailures: 3 },
        });
        expect(await handle.result()).toEqual({
          mode: 'run',
          ...{ done: 0, failed: 4, cancelled: 0 },
          cohorts: { c1: 'done', c2: 'done', c3: 'done', c4: 'waiting', c5: 'waiting' },
          stopped: `3 cohorts failed alike: refused: ${CRASH} for c3`,
        });
        expect(await workflowState(server.client, handle.workflowId)).toEqual({
          state: 'stopped',
          detail: `3 cohorts failed alike: refused: ${CRASH} for c3`,
        });
      });
      expect(trainer.evaluated).toHaveLength(3);
    });

    test.each([
      ['for different reasons', {}, (id: string) => failedJob(`reason-${'abcde'[Number(id[1])]}`)],
      [
        'with a success between',
        {},
        (id: string) => (id === 'c3' ? SUCCEEDED : failedJob('refused')),
      ],
      ['by their own numbers', {}, () => failedJob('non_finite')],
      ['alike, and no limit is set', { maxFailures: 0 }, () => failedJob('refused')],
      ['alike, started by an earlier version', { maxFailures: undefined }, () => failedJob('x')],
    ])('%s goes on to its end', async (_, settings, answer) => {
      const trainer = await server.withTrainer(TRIALS, ({ cohortId }) => answer(cohortId));
      await trainer.worker.runUntil(async () => {
        const handle = await trainer.start(['c1', 'c2', 'c3', 'c4', 'c5'], {
          ...{ maxParallel: 1, maxFailures: 3, ...settings },
        });
        const status = await handle.result();
        expect(status.stopped).toBeUndefined();
        expect(Object.values(status.cohorts)).toEqual(Array(5).fill('done'));
      });
    });
  });

  test('says which activity fails for ever, and why', async () => {
    let broken = true;
    const trainer = await server.withTrainer(TRIALS, () => {
      if (broken) throw new Error('the plan is away', { cause: new Error('ENOENT: plan.json') });
      return SUCCEEDED;
    });
    await trainer.worker.runUntil(async () => {
      const handle = await trainer.start(['c1', 'c2']);
      const find = () => findFailingActivities(server.client, handle.workflowId, undefined);
      await until(async () => (await find()).length === 2);
      expect(await find()).toEqual([
        'runJob of c1 failed 3 times: ENOENT: plan.json',
        'runJob of c2 failed 3 times: ENOENT: plan.json',
      ]);
      broken = false;
      expect(await handle.result()).toMatchObject({ done: 3 });
      expect(await find()).toEqual([]);
    });
  });
});
