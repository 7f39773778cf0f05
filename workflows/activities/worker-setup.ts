/** A worker's settings. */
export interface WorkerSetup {
  /** The artifact root. */
  root: string;
  /** The trainer's address: `unix:<path>` or `host:port`. */
  trainer: string;
}
