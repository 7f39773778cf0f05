/** A job's events on disk. */
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobState, Phase, type Event } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { EventLog } from '../../../../trainer/host/event-log';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-log-'));
  path = join(folder, 'events.log');
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const running = {
  $case: 'stateChanged',
  value: { state: JobState.JOB_STATE_RUNNING, failure: undefined, detail: '' },
} as const;
const progress = (done: number): NonNullable<Event['kind']> => ({
  $case: 'progress',
  value: {
    ...{ phase: Phase.PHASE_TRAIN, done, total: 9, rowsPerSecond: 1, trialSteps: [], note: '' },
    resumed: 0,
  },
});

function makeLog(count: number): EventLog {
  const log = new EventLog(path, 'id');
  log.append(running, true);
  for (let done = 1; done < count; done++) log.append(progress(done), false);
  return log;
}

describe('a log of events', () => {
  test('numbers them from 1, and goes on where it is opened again', () => {
    const before = makeLog(3).read(0, 10);
    const log = new EventLog(path, 'id');
    expect(log.read(0, 10)).toEqual(before);
    log.append(progress(3), false);
    expect(log.read(2, 10).map(({ sequence, logId }) => [sequence, logId])).toEqual([
      [3, 'id'],
      [4, 'id'],
    ]);
  });

  test('reads a part of them at a time', () => {
    const log = makeLog(5);
    expect(log.read(1, 2).map(({ sequence }) => sequence)).toEqual([2, 3]);
    expect(log.read(5, 2)).toEqual([]);
  });

  test('finds the newest state, however many events came after it', () => {
    expect(makeLog(2500).lastState()).toMatchObject({ state: JobState.JOB_STATE_RUNNING });
    expect(new EventLog(join(folder, 'none'), 'id').lastState()).toBeUndefined();
  });

  test.each<[string, () => void]>([
    ['the last event is cut off', () => truncateSync(path, readFileSync(path).length - 3)],
    ['a header alone follows', () => appendFileSync(path, Buffer.from([5, 0, 0, 0, 1]))],
    ['zeros follow, as a power cut leaves them', () => appendFileSync(path, Buffer.alloc(64))],
  ])('cuts its tail where %s, and goes on', (_, damage) => {
    makeLog(3);
    damage();
    const log = new EventLog(path, 'id');
    const whole = log.lastSequence;
    log.append(progress(8), false);
    expect(new EventLog(path, 'id').read(whole, 10).map(({ sequence }) => sequence)).toEqual([
      whole + 1,
    ]);
  });

  test('cuts at an event whose bytes changed', () => {
    makeLog(3);
    const data = readFileSync(path);
    data[data.length - 1]! ^= 1;
    writeFileSync(path, data);
    expect(new EventLog(path, 'id').lastSequence).toBe(2);
  });

  test('tells listeners of each event until they stop', () => {
    const log = makeLog(1);
    const heard: number[] = [];
    const stop = log.listen(() => heard.push(log.lastSequence));
    log.append(progress(1), false);
    stop();
    log.append(progress(2), false);
    expect(heard).toEqual([2]);
  });
});
