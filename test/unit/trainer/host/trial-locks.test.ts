/** Whose turn it is at a trial that another trainer, perhaps of another host, works on. */
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeWhenThereIsRoom } from '../../../../common/disk-space';
import { Environment } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Aborted,
  Interrupted,
  type EngineEvent,
  type JobContext,
} from '../../../../trainer/host/engine';
import { holdTrials } from '../../../../trainer/host/trial-locks';
import { job, PRUNE, trial } from '../../../support/jobs';

const ELSEWHERE = JSON.stringify({ pid: 1, started: '0badb007-1', host: 'gpu2' });
const dataset = { name: 'datasets/d', digest: 'd', numLabels: 2, taskKind: 1 };
const spec = job(dataset, [trial('t2'), trial('t1')], PRUNE, '/backbone');

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-trial-locks-'));
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(root, { recursive: true });
});

const lockOf = (id: string) => join(root, 'trials', id, 'writer.lock');
const held = () => ['t1', 't2'].filter((id) => existsSync(lockOf(id)));
function holdElsewhere(): void {
  mkdirSync(dirname(lockOf('t1')), { recursive: true });
  writeFileSync(lockOf('t1'), ELSEWHERE);
}
function makeContext(changes: Partial<JobContext> = {}): JobContext & { events: EngineEvent[] } {
  const events: EngineEvent[] = [];
  const emit = (event: EngineEvent) => void events.push(event);
  const breathe = () => Promise.resolve();
  const environment = Environment.create({ framework: 'toy' });
  const writeWhenThereIsRoom = <T>(_: string, write: () => T) => Promise.resolve(write());
  return {
    ...{ root, environment, emit, breathe, writeWhenThereIsRoom, checkpointAsked: false },
    ...changes,
    events,
  };
}

test('a job holds its trials while it works', async () => {
  await holdTrials(spec, makeContext(), () => {
    expect(held()).toEqual(['t1', 't2']);
    return Promise.resolve();
  });
  expect(held()).toEqual([]);
});

test('a job waits for room for its locks', async () => {
  const { linkSync } = fs;
  const reasons: string[] = [];
  jest.spyOn(fs, 'linkSync').mockImplementation((from, to) => {
    if (reasons.length === 0) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
    linkSync(from, to);
  });
  const context = makeContext({
    writeWhenThereIsRoom: (path, write) =>
      writeWhenThereIsRoom(path, write, (reason) => void reasons.push(reason)),
  });
  await holdTrials(spec, context, () => {
    expect(held()).toEqual(['t1', 't2']);
    return Promise.resolve();
  });
  expect(reasons).toEqual([expect.stringContaining(`the disk of ${lockOf('t1')}`)]);
});

test('a job goes on when another host was silent for ten minutes, having said so', async () => {
  holdElsewhere();
  const context = makeContext();
  const start = performance.now();
  let calls = 0;
  // Five minutes pass between two looks.
  jest.spyOn(performance, 'now').mockImplementation(() => start + calls++ * 300_000);
  await holdTrials(spec, context, () => {
    expect(held()).toEqual(['t1', 't2']);
    return Promise.resolve();
  });
  expect(held()).toEqual([]);
  expect(context.events).toEqual([
    {
      $case: 'progress',
      value: expect.objectContaining({
        note:
          'waiting for trial t1: another trainer works on it (process 1 on host gpu2); if that ' +
          `host is gone, this goes on after 10 minutes, or without ${lockOf('t1')}`,
      }) as unknown,
    },
  ]);
});

test.each([
  ['checkpoint', Interrupted, { checkpointAsked: true }],
  ['abort', Aborted, { breathe: () => Promise.reject(new Aborted('cancelled')) }],
])('a job that waits can be stopped: %s', async (_, error, changes) => {
  holdElsewhere();
  const work = jest.fn(() => Promise.resolve());
  await expect(holdTrials(spec, makeContext(changes), work)).rejects.toThrow(error);
  expect(work).not.toHaveBeenCalled();
  expect(readFileSync(lockOf('t1'), 'utf8')).toBe(ELSEWHERE);
});
