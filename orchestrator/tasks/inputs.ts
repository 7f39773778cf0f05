/** The part of a task family for `sa-orch predict`: rows that nobody has labelled. */

/** A user's own rows without labels, answers or summaries. */
export interface Inputs<Dataset> {
  /** For help: which tasks these are, the columns of a row, and the JSON of its prediction. */
  help: { tasks: string; columns: string; line: string };
  /**
   * Reads a user's file and writes it as a split into a folder.
   *
   * @throws ConfigError with file and line of what cannot be used
   */
  writeFile(file: string, to: InputPlace<Dataset>): Promise<InputSplit>;
  /**
   * What a file of predictions says, one JSON object for each row of the user's file.
   *
   * @throws UserError if logits are NaN or infinite
   */
  describe(
    predictions: string,
    split: InputSplit,
    at: InputPlace<Dataset>,
  ): object[] | Promise<object[]>;
}

/** A benchmark's test rows, whose labels its server alone has. */
export interface Submissions<Dataset> {
  /**
   * Writes the official test rows as splits.
   *
   * @throws ConfigError if the files are missing, UserError if the task has none
   */
  writeTest(directory: string, to: InputPlace<Dataset>): Promise<WrittenTests>;
  /** The content of the benchmark's submission file. */
  format(predictions: string, split: InputSplit, dataset: Dataset): string;
}

export interface InputPlace<Dataset> {
  folder: string;
  /** What names of splits end in, so that no others have them. */
  mark: string;
  dataset: Dataset;
  /** The backbone's directory, for its tokenizer. */
  backbonePath: string;
}

export interface InputSplit {
  /** Its name in the data set. */
  split: string;
  rows: number;
}

export interface WrittenTests {
  splits: TestSplit[];
  /** Submission files that a benchmark does not require, and for which no rows were found. */
  leftOut: { submission: string; reason: string }[];
}

export interface TestSplit extends InputSplit {
  /** The name of its submission file: `MNLI-mm.tsv`. */
  submission: string;
}
