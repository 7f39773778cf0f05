/**
 * The tasks of a sweep file: published ones by their names, and the user's own with their files and
 * columns.
 */
import { z } from 'zod';
import { LEARNING_RATE_SCHEDULE_NAMES } from '../../common/vocabulary/learning-rate-schedules';
import { PUBLISHED_TASK_NAMES } from '../data/published-tasks';
import { QUESTION_METRICS } from '../data/squad-tasks';
import { SUMMARY_METRICS } from '../data/summary-tasks';
import {
  choice,
  chosenBy,
  count,
  fraction,
  list,
  map,
  notNegative,
  positive,
  text,
  whole,
} from './schema-parts';

/** What a task of one's own may be measured by. */
export const OWN_TASK_METRICS = {
  classification: ['accuracy', 'macro_f1', 'f1', 'matthews'],
  regression: ['pearson', 'spearman'],
  question_answering: QUESTION_METRICS,
  summarization: SUMMARY_METRICS,
} as const;

export const train = map({
  epochs: count.optional(),
  steps: count.optional(),
  batch_size: whole(1, 65536).optional(),
  learning_rate: positive.optional(),
  weight_decay: notNegative.optional(),
  warmup: fraction.optional(),
  schedule: choice(LEARNING_RATE_SCHEDULE_NAMES).optional(),
  max_grad_norm: notNegative.optional(),
  adam_beta1: fraction.optional(),
  adam_beta2: fraction.optional(),
  adam_epsilon: positive.optional(),
  dropout: fraction.optional(),
  attention_dropout: fraction.optional(),
  label_smoothing: fraction.optional(),
}).refine((value) => value.epochs === undefined || value.steps === undefined, {
  error: 'a map with epochs or steps, not both',
});

/** Names of sweeps and tasks: they become parts of file names. */
export const identifier = z
  .string({ error: 'a text' })
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'up to 40 of a–z, 0–9 and -');

const file = (more: string, formats: readonly string[] = TABLES) => {
  const endings = formats.map((format) => `.${format}`);
  const error = `the path of a ${endings.slice(0, -1).join(', ')} or ${endings.at(-1)} file${more}`;
  return z.string({ error }).regex(new RegExp(`.\\.(${formats.join('|')})$`, 'i'), { error });
};
const TABLES = ['csv', 'tsv', 'jsonl', 'parquet'];
const SETTINGS_ELSEWHERE =
  '; the training settings of a task with files of its own are under settings';

const ownName = identifier.refine(
  (name) => !(PUBLISHED_TASK_NAMES as readonly string[]).includes(name),
  {
    error:
      'another name: a task with a kind and files of its own may not have the name of a ' +
      'published one',
  },
);
const metricNames = list(z.string({ error: 'a text' })).optional();

const ownRows = map({
  name: ownName,
  kind: z.enum(['classification', 'regression'], {
    error: `one of ${Object.keys(OWN_TASK_METRICS).join(', ')}`,
  }),
  train: file(SETTINGS_ELSEWHERE),
  validation: file(''),
  text: list(text).refine((names) => names.length <= 2 && new Set(names).size === names.length, {
    error: 'the name of a column, or a list of two different ones',
  }),
  label: text,
  metrics: metricNames,
  settings: train.optional(),
}).superRefine((task, context) => {
  if (task.text.includes(task.label))
    problem(context, ['label'], 'a column that is not among text');
  checkMetrics(task, context);
});

const QUESTION_FILES = ['json', ...TABLES];
const QUESTION_COLUMNS = ['question', 'context', 'answer', 'answer_start'] as const;

const ownQuestions = map({
  name: ownName,
  kind: z.literal('question_answering'),
  train: file(SETTINGS_ELSEWHERE, QUESTION_FILES),
  validation: file('', QUESTION_FILES),
  question: text.optional(),
  context: text.optional(),
  answer: text.optional(),
  answer_start: text.optional(),
  metrics: metricNames,
  settings: train.optional(),
}).superRefine((task, context) => {
  const tables = [task.train, task.validation].some((path) =>
    TABLES.some((format) => path.toLowerCase().endsWith(`.${format}`)),
  );
  const named = QUESTION_COLUMNS.filter((key) => task[key] !== undefined);
  if (!tables && named.length > 0)
    problem(context, [named[0]!], "left out: files in SQuAD's JSON have its names");
  for (const key of ['question', 'context', 'answer'] as const) {
    if (tables && task[key] === undefined)
      problem(context, [key], 'there for tables: the name of a column');
  }
  const twice = named.find((key, i) =>
    named.slice(0, i).some((other) => task[other] === task[key]),
  );
  if (twice !== undefined) problem(context, [twice], 'a column of its own');
  checkMetrics(task, context);
});

const ownSummaries = map({
  name: ownName,
  kind: z.literal('summarization'),
  train: file(SETTINGS_ELSEWHERE),
  validation: file(''),
  document: text,
  summary: text,
  metrics: metricNames,
  settings: train.optional(),
}).superRefine((task, context) => {
  if (task.document === task.summary) problem(context, ['summary'], 'a column of its own');
  checkMetrics(task, context);
});

function problem(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: 'custom', path, message });
}

function checkMetrics(
  task: { kind: keyof typeof OWN_TASK_METRICS; metrics?: string[] | undefined },
  context: z.RefinementCtx,
): void {
  const allowed: readonly string[] = OWN_TASK_METRICS[task.kind];
  for (const [i, name] of (task.metrics ?? []).entries()) {
    if (!allowed.includes(name)) problem(context, ['metrics', i], `one of ${allowed.join(', ')}`);
  }
  if (new Set(task.metrics).size < (task.metrics ?? []).length)
    problem(context, ['metrics'], 'a list of different metrics');
}

/**
 * Any of these keys, or a file to train on, makes a task the user's own: what is missing is then
 * asked for in its words.
 */
const OWN_ONLY = [
  'kind',
  'validation',
  'text',
  'label',
  ...QUESTION_COLUMNS,
  'document',
  'summary',
  'metrics',
  'settings',
];

function isOwn(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (
    OWN_ONLY.some((key) => Object.hasOwn(value, key)) ||
    typeof (value as { train?: unknown }).train === 'string'
  );
}

/**
 * A task by its name, alone or with training settings, or the user's own in full.
 *
 * @param ownNames tasks that the file's own `tasks` describe in full: profiles and flags may name
 *   them
 */
export function taskSchema(ownNames: readonly string[]) {
  const namedTask = map({
    name: choice([...PUBLISHED_TASK_NAMES, ...ownNames]),
    train: train.optional(),
  });
  return z
    .unknown()
    .transform((value) => (typeof value === 'string' ? { name: value } : value))
    .pipe(
      chosenBy((value): z.ZodType<NamedTask | OwnTask> =>
        isOwn(value) ? ownSchema(value) : namedTask,
      ),
    );
}

function ownSchema(value: unknown): z.ZodType<OwnTask> {
  const { kind } = value as { kind?: unknown };
  if (kind === 'summarization') return ownSummaries;
  return kind === 'question_answering' ? ownQuestions : ownRows;
}

/** The names of the tasks that a document describes in full, before it is checked. */
export function ownTaskNames(document: unknown): string[] {
  const { tasks } = (document ?? {}) as { tasks?: unknown };
  const own = [tasks].flat().filter((task): task is { name?: unknown } => isOwn(task));
  return own.map(({ name }) => name).filter((name) => typeof name === 'string');
}

export type TrainKeys = z.output<typeof train>;
export interface NamedTask {
  name: string;
  train?: TrainKeys | undefined;
}
export type OwnRowsTask = z.output<typeof ownRows>;
export type OwnQuestionTask = z.output<typeof ownQuestions>;
export type OwnSummaryTask = z.output<typeof ownSummaries>;
export type OwnTask = OwnRowsTask | OwnQuestionTask | OwnSummaryTask;
