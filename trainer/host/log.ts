/** A trainer's own log: lines on stderr. stdout has the one line that says where it listens. */
export function log(level: 'INFO' | 'WARNING' | 'ERROR', text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${text}\n`);
}
