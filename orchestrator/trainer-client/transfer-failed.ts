/** A file cannot be moved, and trying again would change nothing. */
export class TransferFailed extends Error {
  override readonly name = 'TransferFailed';
}
