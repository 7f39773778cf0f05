/**
 * What a command prints, and its exit status. People read plain text on stdout; with `--json`,
 * stdout is one JSON document and everything else goes to stderr.
 *
 * Exit statuses: 0 success, 1 the work failed, 2 invalid request (config or usage), 3 a service is
 * unreachable.
 */
import { explainError, type Explained, type Place } from '../../common/explain-error';
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

/** Where this command's files are, for what is said of one that cannot be used. */
let listPlaces: () => readonly Place[] = () => [];

/** @param list asked only if there is an error to explain */
export function rememberPlaces(list: () => readonly Place[]): void {
  listPlaces = list;
}

function explain(error: unknown): Explained {
  let places: readonly Place[] = [];
  try {
    places = listPlaces();
  } catch {
    // Without a working directory or a home there are none, which the error itself says.
  }
  return explainError(error, places);
}

/** Prints an error for people: what is wrong, then what to do. Returns the exit status. */
export function printError(error: unknown): Explained['exitStatus'] {
  const explained = explain(error);
  printExplained(explained);
  return explained.exitStatus;
}

function printExplained({ message, hint }: Explained): void {
  printNote(`error: ${message}\n`);
  if (hint !== undefined) printNote(`  ${hint.replaceAll('\n', '\n  ')}\n`);
}

/**
 * Runs a command's action, prints what it throws and sets the exit status. With `json`, the error
 * is the document on stdout: `{"error": {"message", "hint", "exit_status"}}`.
 */
export async function runAction(json: boolean, action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    const explained = explain(thrown);
    const { message, hint, exitStatus } = explained;
    if (json) {
      printJson({
        error: {
          message: writeAsTyped(message),
          hint: hint === undefined ? null : writeAsTyped(hint),
          exit_status: exitStatus,
        },
      });
    }
    printExplained(explained);
    process.exitCode = exitStatus;
  }
}
