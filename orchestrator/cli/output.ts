/**
 * What a command prints, and its exit status. People read plain text on stdout; with `--json`,
 * stdout is one JSON document and everything else goes to stderr.
 *
 * Exit statuses: 0 success, 1 the work failed, 2 invalid request (config or usage), 3 a service is
 * unreachable, 130 the user interrupted the command.
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

/**
 * Prints what a `--json` command ends with that has no document of its own:
 * `{"error": {"message", "hint", "exit_status"}}`.
 */
export function printJsonError(message: string, hint: string | undefined, status: number): void {
  printJson({
    error: {
      message: writeAsTyped(message),
      hint: hint === undefined ? null : writeAsTyped(hint),
      exit_status: status,
    },
  });
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

/**
 * Prints an error for people: what is wrong, then what to do. With `json`, it is also the document
 * on stdout. Returns the exit status.
 */
export function printError(json: boolean, error: unknown): Explained['exitStatus'] {
  const { message, hint, exitStatus } = explain(error);
  if (json) printJsonError(message, hint, exitStatus);
  printNote(`error: ${message}\n`);
  if (hint !== undefined) printNote(`  ${hint.replaceAll('\n', '\n  ')}\n`);
  return exitStatus;
}

/** Runs a command's action, prints what it throws and sets the exit status. */
export async function runAction(json: boolean, action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    process.exitCode = printError(json, thrown);
  }
}
