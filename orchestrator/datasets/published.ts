/** Tasks with published files, which configurations refer to by name. */

/** Paths by split. */
type Files = Record<string, string>;

/** The benchmark that a published task belongs to, and the names of its files. */
export interface Benchmark {
  /** `GLUE`. */
  name: string;
  /** The subfolder of a data directory that may contain the files. */
  folder: string;
  /** The files' names there, for messages: `GLUE's own folders`. */
  names: string;
  /** One of them: `MRPC/`. */
  example: string;
}

export interface PublishedTask {
  name: string;
  /** One of its family's kinds. */
  kind: string;
  /** As in PlannedDataset. */
  num_labels: number;
  benchmark: Benchmark;
  /**
   * By split, in a data directory, relative to the benchmark's folder; the first that exists is
   * used.
   */
  files: Record<string, readonly string[]>;
  /** On the hub, relative to the repository; the first shard of a file stands for all. */
  hub: { repo: string; files: Files };
}
