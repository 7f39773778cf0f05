/** A worker's settings. */
export interface WorkerSetup {
  /** The artifact root. */
  root: string;
  /** The trainer's address: `unix:<path>` or `host:port`. */
  trainer: string;
  /** How long a trainer may be away before others get its work, if there are others; 180 s. */
  graceSeconds?: number;
}
