/** What a worker is set up with. */
export interface WorkerSetup {
  /** The artifact root. */
  root: string;
  /** The trainer's address: `unix:<path>` or `host:port`. */
  trainer: string;
}
