/** The log of a background process: its stdout and stderr, which its parent made a file. */
import { fstatSync, writeSync } from 'node:fs';

/**
 * Makes a full disk cost only the lines that find no room. Otherwise the first one would end the
 * process or, if that were caught, all later ones would be lost, too.
 */
export function keepLogging(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (!fstatSync(stream.fd).isFile()) continue;
    stream._write = (chunk: Uint8Array, _encoding, done) => {
      try {
        writeSync(stream.fd, chunk);
      } catch {
        // There is no other place to say so.
      }
      done();
    };
  }
}
