/** TCP, with and without TLS: where a trainer listens, and for whom. */
import { join } from 'node:path';
import type { TlsFiles } from '../../orchestrator/trainer-client/channel';
import { connectTrainer } from '../../orchestrator/trainer-client/client';
import { findOnPath } from '../../orchestrator/runtime/run-command';
import { makeCertificates } from '../support/certificates';
import { describeTrainer, refusedTrainer, TrainerPlace } from '../support/trainer-process';

const withOpenssl = findOnPath('openssl') ? test : test.skip;

describeTrainer('a trainer on TCP', () => {
  let place: TrainerPlace;
  const file = (name: string) => join(place.folder, name);
  beforeEach(() => {
    place = new TrainerPlace();
  });
  afterEach(() => place.remove());

  withOpenssl(
    '(needs openssl) with a client authority serves those who have its certificate, over TLS only',
    async () => {
      makeCertificates(place.folder);
      const files = [
        '--tls-cert',
        file('server.pem'),
        '--tls-key',
        file('server.key'),
        '--tls-client-ca',
        file('ca.pem'),
      ];
      const trainer = await place.start(['--listen', 'localhost:0', ...files]);
      const ca = file('ca.pem');
      expect(
        await askCode(trainer.listening, { ca, cert: file('client.pem'), key: file('client.key') }),
      ).toBe('OK');
      for (const stranger of [
        { ca },
        { cert: file('client.pem'), key: file('client.key') },
        undefined,
      ])
        expect(await askCode(trainer.listening, stranger)).toBe('UNAVAILABLE');
    },
  );

  test('serves without TLS where it is told to', async () => {
    const { listening } = await place.start(['--listen', '127.0.0.1:0', '--insecure']);
    expect(await askCode(listening, undefined)).toBe('OK');
  });

  test('is refused with status 2 at a port that another one has, in one sentence', async () => {
    const { listening } = await place.start(['--listen', '127.0.0.1:0', '--insecure']);
    const other = new TrainerPlace();
    const { status, stderr } = await refusedTrainer(other, ['--listen', listening, '--insecure']);
    await other.remove();
    expect(stderr).toMatch(/: 127\.0\.0\.1:\d+: cannot listen here: address already in use/i);
    expect(stderr).not.toMatch(/No address added|Failed to add port/);
    expect(status).toBe(2);
  });

  test.each([
    ['without TLS and without being told to', () => [], /--insecure/],
    [
      'with a certificate that is not there',
      () => ['--tls-cert', file('no.pem'), '--tls-key', file('no.key')],
      /--tls-cert: cannot read .*no\.pem: /,
    ],
  ])('%s is refused with status 2', async (_, options, says) => {
    const refused = await refusedTrainer(place, ['--listen', '127.0.0.1:0', ...options()]);
    expect(refused).toEqual({ status: 2, stderr: expect.stringMatching(says) as string });
  });
});

describeTrainer('a trainer on a device that is not there', () => {
  const place = new TrainerPlace();
  afterAll(() => place.remove());

  test('ends with status 2 and says which one, before it listens', async () => {
    const { status, stderr } = await refusedTrainer(place, ['--device', 'cuda:99']);
    expect(stderr).toMatch(/--device cuda:99: \w+/);
    expect(stderr).not.toMatch(/^\s+at |Traceback/m);
    expect(status).toBe(2);
  });
});

/** How a first call ends. */
async function askCode(address: string, tls: TlsFiles | undefined): Promise<string> {
  const client = connectTrainer(address, { tls });
  try {
    await client.getCapabilities();
    return 'OK';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    client.close();
  }
}
