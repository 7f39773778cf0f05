/** How services are to be started: values that cannot work are refused before anything starts. */
import { Command } from 'commander';
import { addServiceOptions } from '../../../orchestrator/cli/options';
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
