/** A file cannot be moved, and trying again would change nothing. */
export class TransferFailed extends Error {
  override readonly name = 'TransferFailed';
}

/** What arrives broken so often is broken for good: a disk or memory at one of the ends. */
export const MOST_MOVED = 3;
