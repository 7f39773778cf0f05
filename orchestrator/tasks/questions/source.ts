/**
 * Reads the questions of a split from SQuAD's JSON, the hub's parquet or a table of the user's own,
 * or generates them.
 */
import { extname } from 'node:path';
import { ConfigError } from '../../base/errors';
import type { GroupOf } from '../../datasets/hold-out';
import type { SplitSource } from '../../datasets/splits';
import { digestValue } from '../../sweep/identity';
import { digestFile } from '../../tables/file-digest';
import type { PlannedQuestions } from './dataset';
import { makeDemoQuestions } from './demo-questions';
import type { EncodeQuestions, QaFeature } from './features';
import { readOwnQuestions } from './own-tables';
import { readSquad, type SquadExample, type SquadTask } from './squad-json';
import { readSquadParquet } from './squad-parquet';

/** How questions are read. */
export type QuestionRules = Pick<PlannedQuestions, 'no_answer' | 'columns'>;

const chooseVersion = ({ no_answer }: QuestionRules): SquadTask =>
  no_answer ? 'squad_v2' : 'squad';

/** @throws ConfigError with file and place of every question that cannot be used, at most 20 */
export async function readQuestions(
  rules: QuestionRules,
  { name, file }: SplitSource,
): Promise<SquadExample[]> {
  const version = chooseVersion(rules);
  if (file === null) return makeDemoQuestions(version, name);
  if (extname(file).toLowerCase() === '.json') return readSquad(file, version);
  return rules.columns === undefined
    ? readSquadParquet(file, version)
    : readOwnQuestions(file, rules.columns);
}

/** Hex SHA-256 of the source of a split. */
export function digestQuestions(rules: QuestionRules, { name, file }: SplitSource): string {
  return file === null
    ? digestValue(makeDemoQuestions(chooseVersion(rules), name))
    : digestFile(file);
}

/** Questions of one context are held out together. */
export const groupOfQuestion: GroupOf<SquadExample> = ({ context }) => context;

/** The questions of a split that are used and their features. */
export interface ChosenQuestions {
  examples: readonly SquadExample[];
  features: QaFeature[];
}

/**
 * @throws ConfigError with the file and each question that leaves no room for a context, at most 20
 */
export async function encodeQuestions(
  examples: readonly SquadExample[],
  encode: EncodeQuestions,
  { name, file }: SplitSource,
): Promise<ChosenQuestions> {
  try {
    return { examples, features: await encode(examples) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map(({ where, message }) => ({ where: `${file ?? name}: ${where}`, message })),
    );
  }
}
