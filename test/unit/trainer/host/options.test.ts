/** The command line of every trainer. */
import { parseOptions } from '../../../../trainer/host/options';

const PLACE = ['--listen', 'unix:/t.sock', '--root', '/root', '--state', '/state'];
const onTcp = (...more: string[]) => [
  '--listen',
  '0.0.0.0:1',
  '--root',
  '/root',
  '--state',
  '/state',
  ...more,
];

describe('a command line', () => {
  test('with an address, a root and a state folder is enough', () => {
    expect(parseOptions(PLACE)).toMatchObject({
      device: 'auto',
      threads: undefined,
      queueLength: 16,
      quarantineAfter: 3,
      retention: { days: 14, megabytes: 1000 },
      tls: undefined,
    });
  });

  test('may name a GPU by its index', () => {
    expect(parseOptions([...PLACE, '--device', 'cuda:1'])).toMatchObject({ device: 'cuda:1' });
  });

  test('serves TCP with TLS, or where plain text is asked for', () => {
    expect(parseOptions(onTcp('--insecure'))).toMatchObject({ insecure: true });
    const tls = { cert: 'c', key: 'k', clientCa: 'a' };
    expect(
      parseOptions(onTcp('--tls-cert', 'c', '--tls-key', 'k', '--tls-client-ca', 'a')),
    ).toMatchObject({ tls });
  });

  test.each([
    ['--listen is missing', ['--root', '/root', '--state', '/state']],
    ['--queue-length: 0 is not a whole number of at least 1', [...PLACE, '--queue-length', '0']],
    ['--keep-job-days: 0 is not a number above 0', [...PLACE, '--keep-job-days', '0']],
    ['--threads: two is not a whole number of at least 1', [...PLACE, '--threads', 'two']],
    [
      '--device: tpu is not auto, cpu, cuda or cuda:<index>, for example cuda:1',
      [...PLACE, '--device', 'tpu'],
    ],
    ['--device: cuda:x is not auto, cpu, cuda or cuda:<index>', [...PLACE, '--device', 'cuda:x']],
    ['TCP needs --tls-cert and --tls-key, or an explicit --insecure', onTcp()],
    ['--listen: box is neither unix:/path.sock nor host:port', ['--listen', 'box']],
    ['--listen box:70000: the port must be at most 65535', ['--listen', 'box:70000']],
    ['--tls-cert and --tls-key go together', onTcp('--tls-cert', 'c')],
    ['--tls-client-ca needs --tls-cert and --tls-key', onTcp('--insecure', '--tls-client-ca', 'a')],
    ["Unknown option '--gpu'", [...PLACE, '--gpu']],
  ])('is refused: %s', (message, args) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
