/**
 * Temporal's errors without their wrappers, for workflows and for the command line. Pure, as all
 * that a workflow calls.
 */

/** The message of the innermost cause: what the user can act on, without the wrappers around it. */
export function rootMessage(error: unknown): string {
  let message = String(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) message = cause.message;
  return message;
}
