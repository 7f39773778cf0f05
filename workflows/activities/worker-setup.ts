/** A worker's settings. */
export interface WorkerSetup {
  /** The artifact root. */
  root: string;
  /** The trainer's address, if none is listed for the root: `unix:<path>` or `host:port`. */
  trainer: string;
  /** How long a trainer may be away before others get its work, if there are others; 180 s. */
  graceSeconds?: number;
  /**
   * The least time between two looks for newer checkpoints of a job on a trainer with a root of its
   * own; 180 if left out.
   */
  fetchSeconds?: number;
}
