/** What a service wrote, the supervisor among them. */
import { existsSync, statSync } from 'node:fs';
import { UserError } from '../base/errors';
import { readLog } from '../runtime/log-file';
import { isTrainerName, readRuntimeConfig } from '../runtime/runtime-config';
import { logPath, type ServiceName } from '../runtime/supervisor-state';
import type { Log } from './log';

export const SERVICE_NAMES = ['temporal', 'worker', 'trainer', 'supervisor'] as const;
type Name = ServiceName | 'supervisor';

/** Of several trainers, the second is `trainer-2`. */
export const isServiceName = (name: string): name is Name =>
  (SERVICE_NAMES as readonly string[]).includes(name) || isTrainerName(name);

/** More than anyone reads at once. */
const MAX_BYTES = 1 << 22;

export class ServiceLog implements Log {
  readonly about: Record<string, string>;
  readonly heading: string[];
  private readonly path: string;
  /** Where the file is read on; undefined before the first time. */
  private offset: number | undefined;
  /** The beginning of a line that is still being written. */
  private begun = '';

  /** @throws UserError (exit 2) if the service never ran here */
  constructor(stateDir: string, name: Name) {
    this.path = logPath(stateDir, name);
    if (!existsSync(this.path)) throw neverRan(stateDir, name, this.path);
    this.about = { service: name, path: this.path };
    this.heading = [this.path];
  }

  read(): Promise<string[]> {
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    const before = this.offset;
    this.offset = size;
    if (before === undefined) {
      // What was moved away last comes first.
      const text = readLog(`${this.path}.1`, 0, MAX_BYTES) + readLog(this.path, 0, MAX_BYTES);
      return Promise.resolve(this.takeLines(text));
    }
    // A shorter file was emptied: its lines were moved away, as the supervisor does with long ones.
    return Promise.resolve(this.takeLines(readLog(this.path, size < before ? 0 : before, size)));
  }

  private takeLines(text: string): string[] {
    const lines = (this.begun + text).split('\n');
    this.begun = lines.pop()!;
    return lines;
  }
}

function neverRan(stateDir: string, name: Name, path: string): UserError {
  const config = readRuntimeConfig(stateDir);
  const elsewhere =
    name === 'temporal'
      ? config?.temporal.kind === 'external' && config.temporal
      : name === 'trainer' && config?.local === null && config.external[0];
  if (elsewhere)
    return new UserError(
      `${name} at ${elsewhere.address} was not started here, so its log is there`,
      2,
    );
  return new UserError(`${name} has no log yet: there is no file ${path}`, 2);
}
