import { ConfigError, type Problem } from '../../base/errors';
import { readJson } from '../../tables/json';
import { limitProblems } from '../../tables/problem-list';
import { quoteNames } from '../../tables/columns';
import type { Score, ScoreCommand, ScoreRequest } from '../family';
import { evaluateSquad, evaluateSquadV2 } from './metrics';
import { readSquad, type SquadExample, type SquadTask } from './squad-json';

export const questionScore: ScoreCommand = {
  options: [
    {
      flags: '--na-probs <file>',
      description:
        'squad_v2: {"<question id>": <number>, …}, higher if there is probably no answer; also ' +
        'reports the best threshold',
      key: 'naProbs',
      isGiven: (value) => value !== undefined,
      tasks: ['squad_v2'],
      reason: 'whose questions can have no answer',
    },
  ],
  help: {
    names: 'squad, squad_v2',
    lines: [
      'predictions: {"<question id>": "<answer>", …}; references: SQuAD\'s JSON;',
      'metrics in percent, as the official scripts print them',
    ],
    example:
      '--task squad_v2 --predictions answers.json --references dev-v2.0.json \\\n' +
      '      --na-probs no-answer.json',
  },
  run: scoreSquad,
};

/**
 * Computes SQuAD's metrics as percentages, as its scripts print them; see evaluateSquad and
 * evaluateSquadV2. Predictions are a JSON object of texts by question id, where "" is v2.0's "no
 * answer". References are in SQuAD's own format. `naProbs` is a JSON object of numbers by question
 * id, like the official script's --na-prob-file. Predictions for other questions do not count, as
 * in the official scripts, and a warning says how many there are.
 *
 * In v1.1, as in its script, a question without a prediction counts as 0, and a warning says how
 * many there are.
 *
 * @throws ConfigError if a file has the wrong format, or for v2.0 lacks one of the references'
 *   questions
 */
function scoreSquad(request: ScoreRequest): Score {
  const { predictions: predictionsJson, references: referencesJson } = request;
  const [task, noAnswerJson] = [request.task as SquadTask, request.naProbs as string | undefined];
  const questions = readSquad(referencesJson, task);
  const hint = task === 'squad_v2' ? ', or "" for no answer' : '';
  const predictions = readById(predictionsJson, isText, `must be text${hint}`);
  const warnings = warnOfOthers(predictions, questions, referencesJson);
  if (task === 'squad') {
    warnings.push(...warnOfUnanswered(predictionsJson, predictions, questions, referencesJson));
    return { metrics: evaluateSquad(questions, predictions), warnings, rows: questions.length };
  }
  checkAllThere(predictionsJson, predictions, questions, referencesJson);
  const noAnswer =
    noAnswerJson === undefined ? null : readById(noAnswerJson, isNumber, 'must be a number');
  if (noAnswer !== null) checkAllThere(noAnswerJson!, noAnswer, questions, referencesJson);
  return {
    metrics: evaluateSquadV2(questions, predictions, noAnswer),
    warnings,
    rows: questions.length,
  };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';

function readById<Value>(
  path: string,
  isValue: (value: unknown) => value is Value,
  expected: string,
): Map<string, Value> {
  const document = readJson(path);
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new ConfigError({
      where: path,
      message: 'is not a JSON object; must have values by question id, {"<id>": <value>, …}',
    });
  }
  const values = new Map<string, Value>();
  const problems: Problem[] = [];
  for (const [id, value] of Object.entries(document)) {
    if (isValue(value)) values.set(id, value);
    else
      problems.push({
        where: path,
        message: `${JSON.stringify(id)} is ${describeValue(value)}; ${expected}`,
      });
  }
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'questions'));
  return values;
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value);
}

function checkAllThere(
  path: string,
  values: ReadonlyMap<string, unknown>,
  questions: readonly SquadExample[],
  references: string,
): void {
  const missing = questions.filter(({ id }) => !values.has(id)).map(({ id }) => id);
  if (missing.length > 0) {
    const message =
      `has nothing for ${missing.length} of the ${questions.length} questions of ${references}: ` +
      quoteNames(missing);
    throw new ConfigError({
      where: path,
      message: `${message}; must have one value per question`,
    });
  }
}

function warnOfUnanswered(
  path: string,
  predictions: ReadonlyMap<string, unknown>,
  questions: readonly SquadExample[],
  references: string,
): string[] {
  const missing = questions.filter(({ id }) => !predictions.has(id)).map(({ id }) => id);
  if (missing.length === 0) return [];
  return [
    `unanswered: ${missing.length} of the ${questions.length} questions of ${references} have no ` +
      `prediction in ${path}, and count as 0: ${quoteNames(missing)}`,
  ];
}

function warnOfOthers(
  predictions: ReadonlyMap<string, unknown>,
  questions: readonly SquadExample[],
  references: string,
): string[] {
  const known = new Set(questions.map(({ id }) => id));
  const extra = [...predictions.keys()].filter((id) => !known.has(id));
  if (extra.length === 0) return [];
  return [
    `extra_predictions: ${extra.length} of ${predictions.size} are for questions that are ` +
      `not in ${references}: ${quoteNames(extra)}`,
  ];
}
