/** What is said of a trainer to which no connection comes about, by what its port shows. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { findOnPath } from '../../../orchestrator/runtime/run-command';
import { askCapabilities } from '../../../orchestrator/runtime/trainer-health';
import { nameExternal } from '../../../orchestrator/runtime/trainer-plan';
import type { TlsFiles } from '../../../orchestrator/trainer-client/client';
import { makeCertificates } from '../../support/certificates';

const TLS = ['SA_ORCH_TRAINER_CA', 'SA_ORCH_TRAINER_CERT', 'SA_ORCH_TRAINER_KEY'];
const before = TLS.map((name) => process.env[name]);
beforeEach(() => TLS.forEach((name) => delete process.env[name]));
afterAll(() =>
  TLS.forEach((name, i) => {
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  }),
);

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.forceShutdown()));

/** Has no services: whoever reaches it hears UNIMPLEMENTED. */
async function listen(credentials: ServerCredentials): Promise<string> {
  const server = new Server();
  servers.push(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('localhost:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return `localhost:${port}`;
}

const ask = (address: string, tls?: TlsFiles): Promise<unknown> =>
  askCapabilities({ address, tls }, 10_000).catch((error: unknown) => error);

test('nobody listens: whether it runs is asked', async () => {
  expect(await ask('localhost:1')).toMatchObject({
    exitCode: 3,
    message: expect.stringContaining('the trainer at localhost:1 does not answer (') as string,
    hint: 'Is it running there? `sa-orch trainer` starts one.',
  });
});

test('what is no trainer is not taken for one with TLS', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await ask(address)).toMatchObject({
    message: expect.stringContaining(
      `something listens at ${address}, but no connection to a trainer came about (`,
    ) as string,
    hint: 'Is it a trainer? Its log says more.',
  });
  server.close();
});

const withOpenssl = findOnPath('openssl') ? describe : describe.skip;
withOpenssl('(needs openssl) with TLS on one side, or on both', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-unreachable-'));
  const file = (name: string) => join(folder, name);
  const read = (name: string) => readFileSync(file(name));
  const secured = () =>
    ServerCredentials.createSsl(
      read('ca.pem'),
      [{ private_key: read('server.key'), cert_chain: read('server.pem') }],
      true,
    );
  beforeAll(() => makeCertificates(folder));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('files that are not set are named', async () => {
    const address = await listen(secured());
    expect(await ask(address)).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining(
        `something listens at ${address}, but it speaks TLS, and no TLS files are set here (`,
      ) as string,
      hint: expect.stringMatching(
        /^Set SA_ORCH_TRAINER_CA to .*SA_ORCH_TRAINER_CERT and SA_ORCH_TRAINER_KEY.*--insecure/,
      ) as string,
    });
  });

  test.each(['a certificate is missing', 'the authority is another one'])(
    'files that the other side does not take are named: %s',
    async (which) => {
      const address = await listen(secured());
      const ca = file(which.startsWith('a ') ? 'ca.pem' : 'client.pem');
      process.env.SA_ORCH_TRAINER_CA = ca;
      expect(await ask(address)).toMatchObject({
        message: expect.stringContaining(
          `at ${address}, but no TLS connection came about with SA_ORCH_TRAINER_CA=${ca} (`,
        ) as string,
        hint: expect.stringContaining('must be the authority that signed') as string,
      });
    },
  );

  test('files are named for which the other side has no use', async () => {
    const address = await listen(ServerCredentials.createInsecure());
    const ca = file('ca.pem');
    expect(await ask(address, { ca })).toMatchObject({
      message:
        `something listens at ${address}, but it does not speak TLS, for which ` +
        `SA_ORCH_TRAINER_CA=${ca} asks (trainer ${address}: no connection: wrong version number)`,
      hint: expect.stringContaining('--insecure') as string,
    });
  });

  test('a socket needs none of this shell’s files, and what cannot be used is refused', () => {
    process.env.SA_ORCH_TRAINER_CA = file('ca.pem');
    const box = { address: 'box:1', tls: { ca: file('ca.pem') } };
    expect(nameExternal(['unix:/t.sock', 'box:1'], [])).toEqual([{ address: 'unix:/t.sock' }, box]);
    process.env.SA_ORCH_TRAINER_CERT = file('client.pem');
    expect(() => nameExternal(['box:1'], [])).toThrow('SA_ORCH_TRAINER_KEY is not set');
    expect(() => nameExternal(['unix:/t.sock'], [])).not.toThrow();
  });
});
