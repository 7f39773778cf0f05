import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { connectTrainer, type TlsFiles } from '../../../orchestrator/trainer-client/client';

describe('a trainer elsewhere, from behind a proxy', () => {
  const proxy = createServer();
  const server = new Server();
  let reached: string[] = [];

  beforeAll(async () => {
    // Has no services: whoever reaches it hears UNIMPLEMENTED.
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    proxy.on('connect', ({ url }, client: Socket) => {
      reached.push(url ?? '');
      const trainer = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        trainer.pipe(client).pipe(trainer);
      });
      for (const end of [client, trainer]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    for (const name of ['no_proxy', 'NO_PROXY', 'no_grpc_proxy']) delete process.env[name];
    process.env.grpc_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    delete process.env.grpc_proxy;
    proxy.close();
    server.forceShutdown();
  });
  beforeEach(() => {
    reached = [];
  });

  const ask = async (address: string): Promise<unknown> => {
    const trainer = connectTrainer(address);
    try {
      return await trainer.getCapabilities().catch((error: unknown) => error);
    } finally {
      trainer.close();
    }
  };

  test('is reached through it, unless no_proxy or NO_PROXY names it', async () => {
    expect(await ask('box.invalid:7400')).toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(reached).toEqual(['box.invalid:7400']);
    for (const name of ['no_proxy', 'NO_PROXY']) {
      process.env[name] = 'other.invalid,box.invalid';
      expect(await ask('box.invalid:7400')).toMatchObject({ code: 'UNAVAILABLE' });
      delete process.env[name];
    }
    expect(reached).toHaveLength(1);
  });

  test('and one on this machine is not', async () => {
    expect(await ask('127.0.0.1:1')).toMatchObject({ code: 'UNAVAILABLE' });
    expect(reached).toEqual([]);
  });
});

describe('a trainer address', () => {
  test.each([
    'unix:/tmp/t.sock',
    '127.0.0.1:7000',
    'gpu-box.local:7000',
    `unix:/${'x'.repeat(106)}`,
  ])('may be %s', (address) => {
    const trainer = connectTrainer(address);
    expect(trainer.address).toBe(address);
    trainer.close();
  });

  test.each([
    ['unix:t.sock', 'must be absolute'],
    [`unix:/${'x'.repeat(107)}`, 'has 108 bytes; the system allows at most 107'],
    [`unix:/${'é'.repeat(54)}`, 'has 109 bytes'],
    ['localhost', 'is neither unix:/path.sock nor host:port'],
    ['box:0', '0 is not a port, 1 to 65535'],
    ['box:65536', '65536 is not a port'],
    ['/tmp/t.sock', 'is neither unix:/path.sock nor host:port'],
  ])('is refused: %s', (address, says) => {
    expect(() => connectTrainer(address)).toThrow(says);
  });

  test('of nobody: a call says UNAVAILABLE, and waiting ends at its deadline', async () => {
    const trainer = connectTrainer('unix:/tmp/sa-orch-nobody-listens-here.sock');
    try {
      await expect(trainer.getCapabilities()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        refused: false,
      });
      await expect(trainer.waitForReady(new Date(Date.now() + 200))).rejects.toThrow(
        'no trainer answers at unix:/tmp/sa-orch-nobody',
      );
    } finally {
      trainer.close();
    }
  });

  test('with half of a client certificate is refused', () => {
    const half = (tls: TlsFiles) => () => connectTrainer('host:1', { tls });
    const together = 'SA_ORCH_TRAINER_CERT and SA_ORCH_TRAINER_KEY go together, and ';
    expect(half({ cert: 'c.pem' })).toThrow(`${together}SA_ORCH_TRAINER_KEY is not set`);
    expect(half({ key: 'c.key', cert: '' })).toThrow(`${together}SA_ORCH_TRAINER_CERT is not set`);
    expect(half({ ca: '/none.pem' })).toThrow(
      'SA_ORCH_TRAINER_CA: cannot read /none.pem: it does not exist',
    );
  });
});
