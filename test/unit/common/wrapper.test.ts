/** A service ends with the process that started it in a terminal, even if that was killed early. */
import { spawnSync } from 'node:child_process';
import { stopWithWrapper, WRAPPER_VARIABLE } from '../../../common/wrapper';

afterEach(() => {
  delete process.env[WRAPPER_VARIABLE];
});

test('a wrapper that was killed before the first look stops its service', () => {
  process.env[WRAPPER_VARIABLE] = String(spawnSync(process.execPath, ['-e', '']).pid);
  const stop = jest.fn();
  stopWithWrapper(stop);
  expect(stop).toHaveBeenCalled();
});

test.each([undefined, '', String(process.ppid), String(process.pid)])(
  'one that lives, or none, does not: %j',
  (named) => {
    if (named !== undefined) process.env[WRAPPER_VARIABLE] = named;
    const stop = jest.fn();
    stopWithWrapper(stop);
    expect(stop).not.toHaveBeenCalled();
  },
);
