/** Where a trainer listens, and locks against a second one. */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import { describeHolder, tryLock, wayOut } from '../../common/lock-file';
import { isElsewhere } from '../../common/process-identity';
import { splitAddress } from '../../common/proxies';
import { systemWords } from '../../common/system-errors';

/** On Linux, sun_path has 108 bytes including its final zero. */
const LONGEST_SOCKET_PATH = 107;

/** The address or the state folder cannot be used; the message says why and what would be right. */
export class CannotListen extends Error {
  readonly exitCode = 2;
}

/** A trainer that was killed may take a moment to die: its memory is taken down first. */
const DYING_MS = 3000;
const PAUSE_MS = 100;

/**
 * Locks a file until this process ends, however it ends. Waits a moment for a holder's death, and
 * throws CannotListen if another process has the lock.
 */
export function lockOrRefuse(path: string, purpose: string): void {
  const deadline = performance.now() + DYING_MS;
  let lock = tryLock(path);
  while ('holder' in lock && !isElsewhere(lock.holder) && performance.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    lock = tryLock(path);
  }
  if (!('holder' in lock)) return;
  const { holder } = lock;
  const help = isElsewhere(holder) ? `; ${wayOut(path, holder)}` : '';
  throw new CannotListen(
    `another trainer (${describeHolder(path, holder)}) already uses ${purpose}${help}`,
  );
}

/** `unix:/path.sock` or `host:port` (port 0 for any free one). */
export class Address {
  private readonly socketPath: string | undefined;

  constructor(private readonly text: string) {
    if (text.startsWith('unix:')) {
      this.socketPath = text.slice('unix:'.length);
      if (!this.socketPath.startsWith('/'))
        throw new CannotListen(
          `${text}: the socket's path must be absolute, as in unix:/run/user/1000/trainer.sock`,
        );
      if (Buffer.byteLength(this.socketPath) > LONGEST_SOCKET_PATH)
        throw new CannotListen(
          `${text}: the socket's path is longer than ${LONGEST_SOCKET_PATH} bytes; ` +
            'choose a shorter one, for example in /tmp',
        );
    } else if (!/^.+:\d+$/.test(text)) {
      throw new CannotListen(`${JSON.stringify(text)} is neither unix:/path.sock nor host:port`);
    }
  }

  /**
   * Locks a socket's path. A port needs no lock because the kernel gives it to only one process.
   */
  lock(): void {
    if (this.socketPath !== undefined) lockOrRefuse(`${this.socketPath}.lock`, this.socketPath);
  }

  /**
   * Binds the server and returns the address with the actual port. Removes the socket of a killed
   * trainer, so the lock must be held.
   */
  async bind(server: Server, credentials: ServerCredentials): Promise<string> {
    if (this.socketPath === undefined) await refuseUnusablePort(this.text);
    else await removeStaleSocket(this.socketPath);
    // Whoever can connect can make the trainer read and write files, so the socket is the owner's
    // only, from its first moment.
    const umask = process.umask(0o177);
    let port: number;
    try {
      port = await new Promise<number>((resolve, reject) => {
        server.bindAsync(this.text, credentials, (error, bound) =>
          error ? reject(error) : resolve(bound),
        );
      });
    } catch (error) {
      throw new CannotListen(`${this.text}: cannot listen here: ${(error as Error).message}`);
    } finally {
      process.umask(umask);
    }
    if (this.socketPath === undefined)
      return `${this.text.slice(0, this.text.lastIndexOf(':'))}:${port}`;
    chmodSync(this.socketPath, 0o600);
    return this.text;
  }
}

/** In the system's own words: gRPC's library would write a line of its own to the log. */
async function refuseUnusablePort(address: string): Promise<void> {
  const { host, port } = splitAddress(address);
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host, port: Number(port) }, resolve);
    });
  } catch (error) {
    const why = systemWords(error as NodeJS.ErrnoException);
    throw new CannotListen(`${address}: cannot listen here: ${why}`);
  }
  await new Promise((resolve) => probe.close(resolve));
}

async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket())
    throw new CannotListen(`${path} exists and is not a socket; it is left alone`);
  // Another kind of server may use the path without a lock: a socket that answers is not stale.
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (answers) throw new CannotListen(`${path}: another process listens there`);
  rmSync(path);
}
