/**
 * Writes a line of the trainer's own log to stderr. stdout is only for the line that says where it
 * listens.
 */
export function log(level: 'INFO' | 'WARNING' | 'ERROR', text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${text}\n`);
}
