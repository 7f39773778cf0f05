/** Plans data sets of questions from their files. */
import { ConfigError } from '../../base/errors';
import { chooseRows } from '../../datasets/choose-rows';
import { describeSplits, type ReadSplit } from '../../datasets/describe-splits';
import { planHeldOut } from '../../datasets/hold-out';
import { planSplit, readEverySplit, type SplitSource } from '../../datasets/splits';
import { sum } from '../../sweep/budget';
import type { PlannedSplit } from '../../sweep/types';
import type { Found, FoundRows, Planning, PlanningContext, TaskSource } from '../family';
import { checkFilesExist } from '../../datasets/own-files';
import type { PlannedQuestions, QuestionDataset } from './dataset';
import { loadQaTokenizer } from './features';
import type { OwnQuestions } from './own-tasks';
import { ANSWERED_METRICS, chooseMetrics, QUESTION_OUTPUTS } from './published';
import type { QuestionSettings } from './settings';
import {
  digestQuestions,
  encodeQuestions,
  groupOfQuestion,
  readQuestions,
  type QuestionRules,
} from './source';
import type { SquadExample } from './squad-json';

/** Making the features of this many questions takes a second or two. */
const MANY_QUESTIONS = 5000;

type Context = PlanningContext<QuestionSettings>;
type PlannedSplits = Omit<FoundRows<QuestionDataset>, 'metrics' | 'source'> & {
  heldOut: PlannedSplit[] | null;
};
type ReadSplits = { split: SplitSource; read: SquadExample[] }[];

export const questionPlanning: Planning<QuestionSettings, OwnQuestions, QuestionDataset> = {
  planPublished: planSquad,
  planOwn,
  findLengthProblem: (task, { doc_stride }, { max_length }) =>
    doc_stride >= max_length
      ? `doc_stride: ${doc_stride} is not allowed with max_length ${max_length}; ` +
        `must be less, so that ${task}'s windows advance`
      : null,
  identify: ({ questions, metrics }) => ({ questions: { ...questions, metrics } }),
};

async function planSquad(
  task: string,
  { source, files }: TaskSource,
  context: Context,
): Promise<Found<QuestionDataset>> {
  const rules = { no_answer: task === 'squad_v2' };
  const splits = await readEverySplit(files, (split) => readQuestions(rules, split));
  const metrics = [...chooseMetrics(rules.no_answer)];
  return addMetrics(await planSplits(task, rules, splits, context), metrics, source);
}

/** A single question without an answer puts the task under the rules of v2.0. */
async function planOwn(
  name: string,
  own: OwnQuestions,
  context: Context,
): Promise<Found<QuestionDataset>> {
  const { origin, files, metrics } = own;
  checkFilesExist(name, own);
  const columns = own.columns ?? undefined;
  const splits = await readEverySplit(files, (split) =>
    readQuestions({ no_answer: true, columns }, split),
  );
  const unanswered = (name: string) =>
    splits.some(
      ({ split, read }) => split.name === name && read.some(({ answers }) => answers.length === 0),
    );
  const scored = unanswered('validation');
  const known: readonly string[] = ANSWERED_METRICS;
  const undefinedOnes = scored ? [] : (metrics ?? []).filter((metric) => !known.includes(metric));
  if (undefinedOnes.length > 0) {
    const reason = `needs questions without an answer, but ${files.validation} has none`;
    throw new ConfigError({
      where: origin,
      message: `${name}: metrics: ${undefinedOnes[0]} ${reason}; must be among ${known.join(', ')}`,
    });
  }
  const rules = { no_answer: scored || unanswered('train'), columns };
  const chosen = [...(metrics ?? chooseMetrics(scored))];
  return addMetrics(await planSplits(name, rules, splits, context), chosen, 'files');
}

function addMetrics(
  { heldOut, ...rows }: PlannedSplits,
  metrics: string[],
  source: TaskSource['source'],
): Found<QuestionDataset> {
  return {
    rows: { ...rows, metrics, source },
    heldOut: heldOut && { splits: heldOut, metrics },
  };
}

async function planSplits(
  task: string,
  rules: QuestionRules,
  read: ReadSplits,
  { settings: { doc_stride }, limits, holdOut, max_length, backbonePath, onLongWork }: Context,
): Promise<PlannedSplits> {
  const encode = await loadQaTokenizer(backbonePath, { max_length, stride: doc_stride });
  const chosen = read.map(({ split, read }) => ({
    read,
    planned: planSplit(split, read.length, digestQuestions(rules, split), limits),
  }));
  const inAll = sum(chosen.map(({ planned }) => planned.rows));
  if (inAll >= MANY_QUESTIONS) {
    onLongWork?.(
      `splitting ${inAll.toLocaleString('en-US')} questions of ${task} into windows of tokens`,
    );
  }
  const withFeatures: ReadSplit<SquadExample>[] = [];
  const counts = new Map<SquadExample, number>();
  for (const { read, planned } of chosen) {
    const rows = chooseRows(read.length, planned.rows).map((i) => read[i]!);
    const { features } = await encodeQuestions(rows, encode, planned);
    for (const { example } of features)
      counts.set(rows[example]!, (counts.get(rows[example]!) ?? 0) + 1);
    withFeatures.push({ planned: { ...planned, features: features.length }, rows });
  }
  const describe = (splits: readonly ReadSplit<SquadExample>[]) =>
    describeSplits(splits, ({ context, question }) => [context, question]);
  const [train] = withFeatures.filter(({ planned }) => planned.name === 'train');
  const questions: PlannedQuestions = { doc_stride, ...rules };
  return {
    task,
    kind: 'question_answering',
    num_labels: QUESTION_OUTPUTS,
    label_names: [],
    questions,
    splits: describe(withFeatures),
    heldOut: holdOut === null ? null : describe(holdOutQuestions(train!, holdOut, counts)),
  };
}

/** @param counts how many windows each question has */
function holdOutQuestions(
  train: ReadSplit<SquadExample>,
  fraction: number,
  counts: ReadonlyMap<SquadExample, number>,
): ReadSplit<SquadExample>[] {
  return planHeldOut(train, fraction, groupOfQuestion).map(({ planned, rows }) => ({
    planned: { ...planned, features: sum(rows.map((row) => counts.get(row) ?? 0)) },
    rows,
  }));
}
