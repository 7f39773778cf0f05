/** What becomes of a command whose output nobody takes: a closed pipe, a full disk. */
import { systemWords } from '../../common/system-errors';
import { quoteCommand } from '../base/shell-quote';
import { printNote } from './output';
import { INTERRUPTED } from './set-up';

/** What a user could believe to have begun, or to have ended. */
interface Stake {
  said: string;
  hint: string;
  exitStatus: number;
}

let stake: Stake | null = null;

/** From here on, a user could believe that a sweep was submitted. */
export function notSubmittedYet(): void {
  const hint = 'Start it again; `--detach` needs nobody to read.';
  stake = { said: 'nothing was submitted', hint, exitStatus: 2 };
}

/** From here on, a user could believe that the sweep has ended. */
export function sweepGoesOn(sweepId: string): void {
  const hint = `\`${quoteCommand('sa-orch', 'watch', sweepId)}\` follows it again.`;
  stake = { said: `${sweepId} goes on`, hint, exitStatus: INTERRUPTED };
}

/** What is printed from here on is all that can be lost. */
export function nothingAtStake(): void {
  stake = null;
}

/**
 * Ends this process because of an error of its stdout. A reader that has had enough, such as
 * `| head`, is nobody's mistake unless a sweep is at stake.
 */
export function endWithoutOutput(error: NodeJS.ErrnoException): void {
  const isClosed = error.code === 'EPIPE';
  if (isClosed && stake === null) process.exit();
  const why = isClosed
    ? 'nobody reads the output any more'
    : `the output cannot be written: ${systemWords(error)}`;
  printNote(`error: ${why}${stake === null ? '' : `; ${stake.said}`}\n`);
  if (stake !== null) printNote(`  ${stake.hint}\n`);
  process.exit(stake?.exitStatus ?? 2);
}
