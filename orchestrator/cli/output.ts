/**
 * What a command says, and how it ends. People read stdout in plain words; with `--json` stdout is one JSON document and everything
 * else goes to stderr.
 *
 * Exit statuses: 0 done, 1 the work failed, 2 the request was wrong (config or usage), 3 a service could not be reached.
 */

/** An end that a user can do something about: it is shown as a message without a stack trace. */
export class UserError extends Error {
  override readonly name = 'UserError';

  /**
   * @param message what happened, naming the field, file or service
   * @param exitCode 1 the work failed, 2 the request was wrong, 3 a service could not be reached
   * @param hint what to do about it
   */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 3,
    readonly hint?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export type ProgressMark = '✓' | '…' | '✗' | '!';

/** Tells one step of a set-up: done (✓), under way (…), broken (✗) or worth a look (!). */
export type OnProgress = (mark: ProgressMark, name: string, text: string) => void;

/** Names are padded to this width, so that the texts of successive lines stand under each other. */
const NAME_WIDTH = 22;

/** Prints one progress line to stdout, for example `✓ trainer torch 2.15.0   cpu, 2 threads`. */
export const progressLine: OnProgress = (mark, name, text) => {
  process.stdout.write(`${mark} ${name.padEnd(NAME_WIDTH)} ${text}\n`);
};

/** The same on stderr, for commands whose stdout is a JSON document. */
export const progressLineOnStderr: OnProgress = (mark, name, text) => {
  process.stderr.write(`${mark} ${name.padEnd(NAME_WIDTH)} ${text}\n`);
};

/** `1 trial`, `2 trials`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Prints the one JSON document of a `--json` command. */
export function printJson(document: unknown): void {
  process.stdout.write(JSON.stringify(document, null, 2) + '\n');
}

/** Prints an error for a person: one line, then the hint. Errors that nobody foresaw keep their stack trace, for a bug report. */
export function printError(error: unknown): void {
  if (!(error instanceof Error)) {
    process.stderr.write(`error: ${String(error)}\n`);
    return;
  }
  const foreseen = exitCodeOf(error) !== undefined;
  process.stderr.write(`error: ${foreseen ? error.message : (error.stack ?? error.message)}\n`);
  if (error instanceof UserError && error.hint) process.stderr.write(`  ${error.hint.replaceAll('\n', '\n  ')}\n`);
}

/** The exit status that an error asks for: its own, 2 for a ConfigError, undefined where nobody foresaw it. */
export function exitCodeOf(error: unknown): 1 | 2 | 3 | undefined {
  if (error instanceof UserError) return error.exitCode;
  if (error instanceof Error && error.name === 'ConfigError') return 2;
  return undefined;
}

/**
 * Wraps a command's action: prints what it throws and sets the exit status. With `json`, the error is the document on stdout:
 * `{"error": {"message", "hint", "exit_status"}}`.
 */
export async function runAction(json: boolean, action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    const exitStatus = exitCodeOf(error) ?? 1;
    if (json) {
      const message = error instanceof Error ? error.message : String(error);
      printJson({ error: { message, hint: error instanceof UserError ? (error.hint ?? null) : null, exit_status: exitStatus } });
    }
    printError(error);
    process.exitCode = exitStatus;
  }
}
