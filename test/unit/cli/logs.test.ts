/** What `sa-orch logs` shows of a sweep, a trial and a service. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from '../../../orchestrator/cli/logs';
import { writeJobHistory, type JobEvent } from '../../../orchestrator/store/job-history';
import { writeMetrics, writePlan, writeStage } from '../../../orchestrator/store/sweep-store';
import { tinyPlan } from '../support/tiny-plan';

const SWEEP = 'tiny-00000000';

let place: string;
let root: string;
let state: string;
beforeEach(async () => {
  place = mkdtempSync(join(tmpdir(), 'sa-orch-logs-'));
  [root, state] = [join(place, 'root'), join(place, 'state')];
  await writePlan(root, tinyPlan());
});
afterEach(() => rmSync(place, { recursive: true }));

const open = (name: string) => openLog(name, root, state);
const read = async (name: string) => (await open(name)).read();

const event = (second: number, changes: Partial<JobEvent>): JobEvent => ({
  time: `2026-01-02T03:04:0${second}.123Z`,
  trial: null,
  kind: 'state',
  text: 'running',
  ...changes,
});
const writeHistory = (logId: string, events: JobEvent[]) =>
  writeJobHistory(
    root,
    SWEEP,
    { generation: 'r-1', logId },
    { cohort: 'c01-mrpc', work: 'train', trials: ['t1', 't2'], events },
  );
const EVENTS = [
  event(1, {}),
  event(2, { trial: 't1', kind: 'warning', text: 'warning: slow: m' }),
  event(3, { trial: 't2', kind: 'failure', text: 'failed: non_finite: loss is NaN at step 3' }),
  event(4, { trial: 't1', kind: 'result', text: 'done, steps 9' }),
  event(5, { text: 'succeeded' }),
];
const line = (second: number, text: string) =>
  `2026-01-02T03:04:0${second}Z c01-mrpc   train   ${text}`;

describe('the log of a sweep', () => {
  test('has its jobs’ states, warnings and failures in the order of time, each once', async () => {
    await writeHistory('a', EVENTS);
    // As after a restart of the trainer's machine, where a log is read again under another id.
    await writeHistory('b', EVENTS.slice(0, 2));
    const log = await open('tiny');
    expect(await log.read()).toEqual([
      line(1, '2 trials: running'),
      line(2, 't1: warning: slow: m'),
      line(3, 't2: failed: non_finite: loss is NaN at step 3'),
      line(5, '2 trials: succeeded'),
    ]);
    expect(await log.read()).toEqual([]);
    await writeHistory('c', [event(6, { text: 'queued' }), event(6, { text: 'failed: f' })]);
    expect(await log.read()).toEqual([line(6, '2 trials: queued'), line(6, '2 trials: failed: f')]);
  });
});

describe('the log of a trial', () => {
  test('has what concerns it, its newest loss, and what it came to', async () => {
    await writeHistory('a', EVENTS);
    await writeMetrics(root, 't1', [
      '{"name":"loss","step":8,"value":0.5}',
      '{"name":"grad_norm","step":9,"value":1}',
    ]);
    expect(await read('t1')).toEqual([
      line(1, '2 trials: running'),
      line(2, 't1: warning: slow: m'),
      line(4, 't1: done, steps 9'),
      line(5, '2 trials: succeeded'),
      `loss 0.5 at step 8; more in ${join(root, 'trials/t1/metrics.jsonl')}`,
      'no result yet',
    ]);
  });

  test('of before there were histories has what its stages recorded', async () => {
    await writeStage(root, 't1', 'train', {
      values: { steps: 9 },
      warnings: ['slow: m'],
      environments: [],
      cohort: 1,
    });
    expect(await read('t1')).toEqual([
      'train: steps 9',
      'train: warning: slow: m',
      'no result yet',
    ]);
  });
});

describe('the log of a service', () => {
  const write = (name: string, text: string) => {
    mkdirSync(join(state, 'logs'), { recursive: true });
    writeFileSync(join(state, 'logs', name), text);
  };

  test('has whole lines, those that were moved away last among them, and what is new', async () => {
    write('trainer.log.1', 'old\n');
    write('trainer.log', 'one\ntw');
    const log = await open('trainer');
    expect(log.heading).toEqual([join(state, 'logs/trainer.log')]);
    expect(await log.read()).toEqual(['old', 'one']);
    appendFileSync(join(state, 'logs/trainer.log'), 'o\n');
    expect(await log.read()).toEqual(['two']);
    truncateSync(join(state, 'logs/trainer.log'));
    appendFileSync(join(state, 'logs/trainer.log'), 'new\n');
    expect(await log.read()).toEqual(['new']);
  });

  test('is not there if it never ran', async () => {
    await expect(open('worker')).rejects.toMatchObject({
      exitCode: 2,
      message: `worker has no log yet: there is no file ${join(state, 'logs/worker.log')}`,
    });
  });
});

describe('a name', () => {
  test('of nothing is refused with what is near, and one of several things with all', async () => {
    await expect(open('trainr')).rejects.toMatchObject({
      exitCode: 2,
      message: 'no sweep, trial or service is named trainr; did you mean "trainer"?',
    });
    await expect(open('tiny-00000001')).rejects.toThrow('did you mean "tiny-00000000"?');
    await expect(open('t')).rejects.toMatchObject({
      exitCode: 2,
      message: 't is the beginning of tiny-00000000, t1, t2',
    });
  });
});
