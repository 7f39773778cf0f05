/** Tasks of question answering, from the files of their questions to planned data sets. */
import { ConfigError, type Problem } from '../../base/errors';
import type { OwnQuestionsConfig, SweepConfig } from '../../config/sweep-config';
import { sum } from '../../sweep/budget';
import type { PlannedQuestions, PlannedSplit } from '../../sweep/types';
import { missingFiles } from '../rows/plan';
import { plannedSplit, type FoundRows } from '../../datasets/planned-split';
import type { EncodeQuestions } from './features';
import { chooseQuestions, questionsDigest, readQuestions, type QuestionRules } from './source';
import type { TaskSource } from '../sources';
import type { SquadExample, SquadTask } from './squad-json';
import { ANSWERED_METRICS, QUESTION_OUTPUTS, questionMetrics } from './published';

/** What planning questions needs besides their files. */
export interface QuestionPlanning {
  config: SweepConfig;
  encode: EncodeQuestions;
  /** Told before features are made of so many questions that it takes a while. */
  onManyQuestions?: (task: string, questions: number) => void;
}

/** Features of so many questions take a second or two. */
const MANY_QUESTIONS = 5000;

type Files = Record<string, string | null>;

/** Reads both files of a task of SQuAD to their ends. */
export async function readSquadTask(
  task: SquadTask,
  { source, files }: TaskSource,
  planning: QuestionPlanning,
): Promise<FoundRows> {
  const rules = { no_answer: task === 'squad_v2' };
  const read = await readSplits(rules, files);
  return {
    ...found(task, rules, files, read, planning),
    metrics: [...questionMetrics(rules.no_answer)],
    source,
  };
}

/**
 * Reads both files of a task with the user's own questions to their ends. A question without an
 * answer makes it one by the rules of v2.0.
 *
 * @throws ConfigError with the problems of both files
 */
export async function readOwnQuestionTask(
  name: string,
  own: OwnQuestionsConfig,
  planning: QuestionPlanning,
): Promise<FoundRows> {
  const { origin, files, metrics } = own;
  const missing = missingFiles(name, own);
  if (missing.length > 0) throw new ConfigError(missing);
  const columns = own.columns ?? undefined;
  const read = await readSplits({ no_answer: true, columns }, files);
  const unanswered = (examples: readonly SquadExample[] = []) =>
    examples.some(({ answers }) => answers.length === 0);
  const scored = unanswered(read.validation);
  const known: readonly string[] = ANSWERED_METRICS;
  const undefinedOnes = scored ? [] : (metrics ?? []).filter((metric) => !known.includes(metric));
  if (undefinedOnes.length > 0) {
    const reason = `is of questions without an answer, and ${files.validation} has none`;
    throw new ConfigError({
      where: origin,
      message: `${name}: metrics: ${undefinedOnes[0]} ${reason}; must be among ${known.join(', ')}`,
    });
  }
  const rules = { no_answer: scored || unanswered(read.train), columns };
  return {
    ...found(name, rules, files, read, planning),
    metrics: [...(metrics ?? questionMetrics(scored))],
    source: 'files',
  };
}

/** The questions of each split. The problems of all files come together. */
async function readSplits(
  rules: QuestionRules,
  files: Files,
): Promise<Record<string, SquadExample[]>> {
  const read: Record<string, SquadExample[]> = {};
  const problems: Problem[] = [];
  for (const [name, file] of Object.entries(files)) {
    try {
      read[name] = await readQuestions(rules, { name, file });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return read;
}

function found(
  task: string,
  rules: QuestionRules,
  files: Files,
  read: Record<string, SquadExample[]>,
  { config, encode, onManyQuestions }: QuestionPlanning,
): Omit<FoundRows, 'metrics' | 'source'> {
  const chosen = Object.entries(files).map(([name, file]): PlannedSplit =>
    plannedSplit(name, file, read[name]!.length, questionsDigest(rules, { name, file }), config),
  );
  const inAll = sum(chosen.map(({ rows }) => rows));
  if (inAll >= MANY_QUESTIONS) onManyQuestions?.(task, inAll);
  const splits = chosen.map((split): PlannedSplit => {
    const { features } = chooseQuestions(read[split.name]!, split.rows, encode, split);
    return { ...split, features: features.length };
  });
  const questions: PlannedQuestions = { doc_stride: config.doc_stride, ...rules };
  return {
    task,
    kind: 'question_answering',
    num_labels: QUESTION_OUTPUTS,
    label_names: [],
    questions,
    splits,
  };
}
