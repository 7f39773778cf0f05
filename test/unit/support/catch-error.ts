import { UserError } from '../../../orchestrator/base/errors';

/** The UserError that a call throws. */
export function catchError(call: () => void): UserError {
  try {
    call();
  } catch (error) {
    if (error instanceof UserError) return error;
  }
  throw new Error('was not refused');
}
