/** What a command that follows a sweep says of services that die and come back. */
import { describeChanges } from '../../../orchestrator/cli/service-watch';
import type { ServiceStatus } from '../../../orchestrator/runtime/status';

const service = (name: string, changes: Partial<ServiceStatus> = {}): ServiceStatus => ({
  ...{ name, state: 'ready', pid: 1, address: null, since: null, restarts: 0 },
  ...{ last_exit: null, log: null, log_tail: [] },
  ...changes,
});
const killed = { restarts: 1, last_exit: 'killed by SIGKILL', pid: null };

test.each<[string, Partial<ServiceStatus>, Partial<ServiceStatus>, string[]]>([
  ['worker', {}, {}, []],
  // The supervisor, not this command, says how it ended.
  ['worker', {}, { state: 'dead', pid: null }, []],
  [
    'worker',
    { state: 'dead' },
    { ...killed, state: 'waiting' },
    ['the worker died (killed by SIGKILL); the supervisor is starting it again'],
  ],
  [
    'temporal',
    {},
    { ...killed, pid: 2 },
    ['the Temporal server died (killed by SIGKILL); the supervisor has started it again'],
  ],
  ['trainer', { ...killed, state: 'starting' }, { ...killed }, ['the trainer works again']],
  // An outage, which is told with its log.
  ['trainer', {}, { ...killed, state: 'failed' }, []],
  ['trainer', {}, { state: 'stopped', pid: null }, []],
  [
    'supervisor',
    {},
    { state: 'dead', pid: null },
    ['the supervisor is gone: what dies now is not restarted; `sa-orch up` brings it back'],
  ],
  [
    'supervisor',
    {},
    { state: 'stopped', pid: null },
    ['the supervisor is gone: what dies now is not restarted; `sa-orch up` brings it back'],
  ],
  ['supervisor', { state: 'dead' }, { state: 'stopped', pid: null }, []],
  ['supervisor', { state: 'dead' }, {}, ['the supervisor is back']],
  ['supervisor', { state: 'stopped' }, {}, ['the supervisor is back']],
])('%s from %j to %j: %j', (name, before, now, lines) => {
  expect(describeChanges([service(name, before)], [service(name, now)])).toEqual(lines);
});

test('a trainer that is given up is said while others go on', () => {
  const before = [service('trainer'), service('trainer-2')];
  const after = [service('trainer'), service('trainer-2', { ...killed, state: 'failed' })];
  expect(describeChanges(before, after)).toEqual([
    'trainer-2 died again and again and is not restarted; other trainers go on',
  ]);
  expect(describeChanges(after, after)).toEqual([]);
});
