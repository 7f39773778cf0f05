/**
 * What a command prints, and its exit status. People read plain text on stdout; with `--json`,
 * stdout is one JSON document and everything else goes to stderr.
 *
 * Exit statuses: 0 success, 1 the work failed, 2 invalid request (config or usage), 3 a service is
 * unreachable.
 */
import { describeFullDisk, isDiskFull } from '../../common/disk-space';
import { HeldElsewhere } from '../../common/lock-file';
import { ConfigError, UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { writeAsTyped } from './typed-command';

/** Names are padded to this width, so that the texts of successive lines are aligned. */
const NAME_WIDTH = 22;

/** Prints one progress line to stdout, for example `✓ trainer torch 2.15.0   cpu, 2 threads`. */
export const progressLine: OnProgress = (mark, name, text) => {
  printText(`${mark} ${name.padEnd(NAME_WIDTH)} ${text}\n`);
};

/** The same on stderr, for commands whose stdout is a JSON document. */
export const progressLineOnStderr: OnProgress = (mark, name, text) => {
  printNote(`${mark} ${name.padEnd(NAME_WIDTH)} ${text}\n`);
};

/** Prints text on stdout, its commands in the form that was typed. */
export function printText(text: string): void {
  process.stdout.write(writeAsTyped(text));
}

/** The same on stderr. */
export function printNote(text: string): void {
  process.stderr.write(writeAsTyped(text));
}

/** Prints the one JSON document of a `--json` command. */
export function printJson(document: unknown): void {
  process.stdout.write(JSON.stringify(document, null, 2) + '\n');
}

/**
 * Prints an error for people: one line, then the hint. Unexpected errors keep their stack trace,
 * for a bug report.
 */
export function printError(error: unknown): void {
  if (!(error instanceof Error)) {
    process.stderr.write(`error: ${String(error)}\n`);
    return;
  }
  const foreseen = findExitCode(error) !== undefined;
  printNote(`error: ${foreseen ? error.message : (error.stack ?? error.message)}\n`);
  if (error instanceof UserError && error.hint)
    printNote(`  ${error.hint.replaceAll('\n', '\n  ')}\n`);
}

/**
 * The exit status for an error; undefined if it is unexpected.
 */
export function findExitCode(error: unknown): 1 | 2 | 3 | undefined {
  if (error instanceof UserError) return error.exitCode;
  if (error instanceof ConfigError) return error.exitCode;
  if (error instanceof HeldElsewhere) return 3;
  return undefined;
}

/**
 * Runs a command's action, prints what it throws and sets the exit status. With `json`, the error
 * is the document on stdout: `{"error": {"message", "hint", "exit_status"}}`.
 */
export async function runAction(json: boolean, action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    const error = isDiskFull(thrown) ? asFullDisk(thrown) : thrown;
    const exitStatus = findExitCode(error) ?? 1;
    if (json) {
      const message = error instanceof Error ? error.message : String(error);
      printJson({
        error: {
          message: writeAsTyped(message),
          hint: error instanceof UserError && error.hint ? writeAsTyped(error.hint) : null,
          exit_status: exitStatus,
        },
      });
    }
    printError(error);
    process.exitCode = exitStatus;
  }
}

/** A write of this command found no room. Services wait for some; a command does not. */
function asFullDisk(error: NodeJS.ErrnoException): UserError {
  const where = describeFullDisk(error.path ?? process.cwd(), error);
  return new UserError(where, 1, 'Free some space, then repeat the command.');
}
