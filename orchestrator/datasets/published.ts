/** Tasks that a configuration names and whose files are published. */

/** Paths by split. */
type Files = Record<string, string>;

/** Whose rows a published task has, and what its files are called in a data directory. */
export interface Benchmark {
  /** `GLUE`. */
  name: string;
  /** The folder of a data directory that may hold the files. */
  folder: string;
  /** The files' names there, for messages: `GLUE's own folder names are`. */
  names: string;
  /** One of them: `MRPC/`. */
  example: string;
}

export interface PublishedTask {
  name: string;
  /** What is learned from its rows; one of its family's kinds. */
  kind: string;
  /** As in PlannedDataset. */
  num_labels: number;
  benchmark: Benchmark;
  /**
   * In a data directory, relative to the benchmark's folder; of several by split the first that is
   * there.
   */
  files: Record<string, readonly string[]>;
  /** On the hub, relative to the repository; the first of a file's shards stands for all. */
  hub: { repo: string; files: Files };
}
