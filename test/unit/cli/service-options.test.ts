/** How services are to be started: values that cannot work are refused before anything starts. */
import { Command } from 'commander';
import { readWorkerSettings } from '../../../common/worker-settings';
import { addServiceOptions } from '../../../orchestrator/cli/options';
import { trainerCommand } from '../../../orchestrator/cli/trainer';
import { workerCommand } from '../../../orchestrator/cli/worker';
import { refuseUnusable } from '../../../orchestrator/runtime/trainer-plan';

const parse = (...flags: string[]): object => {
  const command = addServiceOptions(new Command()).exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  return command.parse(flags, { from: 'user' }).opts();
};

test('are read', () => {
  expect(parse('--trainer', 'box:7400', '--trainer', 'dns:gpus:7400')).toEqual({
    trainer: ['box:7400', 'dns:gpus:7400'],
  });
  expect(parse('--devices', 'cuda:0,cuda:3,cpu')).toEqual({
    devices: ['cuda:0', 'cuda:3', 'cpu'],
  });
  expect(parse('--trainers', '4')).toEqual({ trainers: 4 });
  expect(parse('--threads', '2', '--device', 'cpu')).toEqual({ threads: 2, device: 'cpu' });
});

test.each([
  ['--threads', '0', 'must be at least 1'],
  ['--threads', '-1', 'must be a whole number'],
  ['--threads', '1.5', 'must be a whole number'],
  ['--device', 'gpu', 'must be auto, cpu, cuda or cuda:<index>'],
  ['--trainers', '0', 'must be at least 1'],
  ['--devices', 'cuda:0,gpu', 'must be auto, cpu, cuda or cuda:<index>'],
  ['--devices', 'cuda,cuda:0', 'must name each GPU once'],
  ['--devices', 'cuda:0,auto', 'must name devices'],
  ['--trainer', '@/nowhere/boxes', '/nowhere/boxes: there is no such file'],
  ['--framework', 'jax', 'Allowed choices are torch, tfjs'],
  ['--trainer', 'box', 'trainer address box is neither unix:/path.sock nor host:port'],
  ['--trainer', 'box:0', '0 is not a port, 1 to 65535'],
  ['--trainer', 'box:70000', '70000 is not a port'],
  ['--trainer', 'unix:t.sock', "the socket's path must be absolute"],
])('are refused: %s %s', (flag, value, message) => {
  expect(() => parse(flag, value)).toThrow(message);
});

test.each([
  [{ SA_ORCH_METRICS_PORT: 'abc' }, 'SA_ORCH_METRICS_PORT is "abc", not a port from 1 to 65535'],
  [{ SA_ORCH_METRICS_PORT: '70000' }, 'SA_ORCH_METRICS_PORT is "70000", not a port'],
  [{ SA_ORCH_METRICS_PORT: 'box:9464' }, 'or <IP address>:<port>, for example 0.0.0.0:9464'],
  [{ SA_ORCH_TRAINER_GRACE: 'abc' }, 'SA_ORCH_TRAINER_GRACE is "abc", not a number ≥ 1'],
  [{ SA_ORCH_FETCH_SECONDS: '-1' }, 'SA_ORCH_FETCH_SECONDS is "-1", not a number ≥ 0'],
])('a setting of the worker that it could not use is refused: %j', (env, message) => {
  expect(() => refuseUnusable({ stateDir: '/none' }, env)).toThrow(message);
});

test.each([
  ['9464', '127.0.0.1:9464'],
  ['localhost:9464', '127.0.0.1:9464'],
  ['0.0.0.0:9464', '0.0.0.0:9464'],
  ['[::]:9464', '[::]:9464'],
])('metrics of the worker may be at %s', (where, metrics) => {
  expect(readWorkerSettings({ SA_ORCH_METRICS_PORT: where })).toMatchObject({ metrics });
});

test.each([workerCommand, trainerCommand])(
  'a port for metrics that is none is named so',
  (make) => {
    const command = make()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    const flags = ['--listen', 'unix:/t.sock', '--metrics-port', 'abc'];
    expect(() =>
      command.parse(flags.slice(make === workerCommand ? 2 : 0), { from: 'user' }),
    ).toThrow(
      /--metrics-port <port>' argument 'abc' is invalid\. must be a port from 1 to 65535, or </,
    );
  },
);

test('--unload-after is refused beside a trainer that runs', () => {
  const asked = { stateDir: '/none', trainerSources: ['box:7400'], unloadAfter: 15, threads: 1 };
  expect(() => refuseUnusable(asked, {})).toThrow('--threads, --unload-after can be set only for');
});

test.each([{ framework: 'torch' }, { python: 'p' }, { device: 'cpu' }, { threads: 1 }] as const)(
  'of a trainer to start are refused beside one that runs: %j',
  (option) => {
    const asked = { stateDir: '/none', trainerSources: ['box:7400'], ...option };
    expect(() => refuseUnusable(asked, {})).toThrow(
      `--${Object.keys(option)[0]} can be set only for a trainer that is started here, ` +
        'but --trainer names another',
    );
    expect(() => refuseUnusable({ ...option, stateDir: '/none' }, {})).not.toThrow();
  },
);

test.each([{ trainers: 2 }, { device: 'cpu' as const }])(
  'of how many trainers there are, --devices says all: %j is refused beside it',
  (option) => {
    const asked = { stateDir: '/none', devices: ['cpu' as const], ...option };
    expect(() => refuseUnusable(asked, {})).toThrow(
      `so --${Object.keys(option)[0]} cannot be set beside it`,
    );
  },
);
