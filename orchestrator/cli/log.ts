/** A log that can be read again and again. */
export interface Log {
  /** What it is, for --json: `{sweep_id}`, `{trial_id}` or `{service, path}`. */
  about: Record<string, string>;
  /** For people: printed once before the lines. */
  heading: string[];
  /** The lines that were not there at the last call; at the first call all of them. */
  read(): Promise<string[]>;
}
