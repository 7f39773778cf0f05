import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimPort, isPortFree } from '../../../orchestrator/runtime/ports';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-ports-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('ports', () => {
  it('skip one that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    expect(await isPortFree(port)).toBe(false);
    expect(await claimPort(join(folder, 'ports'), folder, port)).toBeGreaterThan(port);
    server.close();
  });

  it('stay with their state directory, and move to another when it is removed', async () => {
    const registry = join(folder, 'ports');
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    mkdirSync(one);
    mkdirSync(two);
    const first = await claimPort(registry, one, 41_233);
    expect(await claimPort(registry, two, 41_233)).not.toBe(first);
    expect(await claimPort(registry, one, 41_233)).toBe(first);
    rmSync(one, { recursive: true });
    expect(await claimPort(registry, two, 41_233)).toBe(first);
    expect(readFileSync(join(registry, String(first)), 'utf8')).toBe(two);
    expect(existsSync(join(registry, 'claim.lock'))).toBe(false);
  });
});
