/**
 * Unwraps Temporal's errors, for workflows and the command line. Pure, like everything that a
 * workflow calls.
 */

/** The message of the innermost cause, which is what the user can act on. */
export function rootMessage(error: unknown): string {
  let message = String(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) message = cause.message;
  return message;
}
