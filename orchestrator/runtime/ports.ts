/**
 * Ports for embedded servers. A port stays reserved for its state directory as long as that folder
 * exists, so that two checkouts, or a test run and a real sweep, never meet, even while one of them
 * is down.
 */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { withLock } from '../../common/lock-file';

/** How many ports to try, from the standard one upwards. */
const RANGE = 400;

/** Whether this process could listen on a loopback port now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/**
 * Reserves a port that is free and not another state directory's: the directory's own port if
 * possible, else the first of `first`, `first + 1`, ….
 *
 * @param registry a folder that all checkouts of this user share
 */
export async function claimPort(
  registry: string,
  stateDir: string,
  first: number,
  own?: number,
): Promise<number> {
  makeFolder(registry);
  return withLock(
    join(registry, 'claim.lock'),
    () => undefined,
    async () => {
      const candidates = [
        ...(own === undefined ? [] : [own]),
        ...Array.from({ length: RANGE }, (_, i) => first + i),
      ];
      for (const port of candidates) {
        const claim = join(registry, String(port));
        const owner = readIfThere(claim);
        const isTaken = owner !== undefined && owner !== stateDir && existsSync(owner);
        if (isTaken || !(await isPortFree(port))) continue;
        writeDurablySync(claim, stateDir);
        return port;
      }
      throw new Error(`no free port from ${first} to ${first + RANGE - 1} on 127.0.0.1`);
    },
  );
}
