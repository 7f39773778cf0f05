/** One thing that is wrong in a file or a request. */
export interface Problem {
  /** Where to look: `file:line`, a file, or a flag. */
  where: string;
  /**
   * What is wrong and what would be right, in one sentence that names the field as the user wrote
   * it.
   */
  message: string;
}

/** A config, flag or data file that cannot be used as written. The command exits with status 2. */
export class ConfigError extends Error {
  readonly exitCode = 2;
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[] | Problem) {
    const list = 'where' in problems ? [problems] : [...problems];
    super(list.map((problem) => `${problem.where}: ${problem.message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = list;
  }
}

/** A failure that the user can act on, shown as a message without a stack trace. */
export class UserError extends Error {
  override readonly name = 'UserError';

  /**
   * @param message what happened, naming the field, file or service
   * @param exitCode 1 the work failed, 2 the request was wrong, 3 a service could not be reached
   * @param hint what to do about it
   */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 3,
    readonly hint?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
