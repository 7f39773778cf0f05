import { connectTrainer } from '../../../orchestrator/trainer-client/client';

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
    expect(() => connectTrainer('host:1', { tls: { cert: 'client.pem' } })).toThrow(
      'a client certificate needs its key',
    );
  });
});
