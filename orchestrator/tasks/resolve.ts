import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_MAX_LENGTH } from '../config/defaults';
import { ConfigError } from '../base/errors';
import { kindOf } from '../config/resolve';
import type { SweepConfig, TaskConfig } from '../config/sweep-config';
import { taskProblem } from '../sweep/encoder-decoder';
import { digestOf } from '../sweep/identity';
import type { PlannedBackbone, PlannedDataset, PlannedSplit, TaskKind } from '../sweep/types';
import { glueTask, numLabels, type GlueTask } from './rows/published';
import { readOwnTask } from './rows/plan';
import { plannedSplit, type FoundRows } from '../datasets/planned-split';
import { publishedTask } from '../datasets/published';
import { loadQaTokenizer } from './questions/features';
import { readOwnQuestionTask, readSquadTask, type QuestionPlanning } from './questions/plan';
import { ROW_CHOICE_VERSION } from '../datasets/choose-rows';
import {
  findSources,
  readRows,
  sourceDigest,
  type SourceOptions,
  type TaskSource,
} from './sources';
import { isSquadTask } from './questions/published';
import { readOwnSummaryTask, readSummaryTask } from './summaries/plan';
import { isSummaryTask } from './summaries/published';
import { tokenizerDigest } from '../tokenizers/tokenizer';

/** Raised when the same rows would be written in another form. */
const DATASET_FORMAT = 1;

export interface ResolveOptions extends SourceOptions, Pick<QuestionPlanning, 'onManyQuestions'> {
  backbone: PlannedBackbone;
}

/**
 * Finds the rows of each task of a sweep and says which of them are used: one planned data set a
 * task, in the order of the tasks. Reads every file to its end, so that a broken one is found
 * before anything runs.
 */
export async function resolveDatasets(
  config: SweepConfig,
  options: ResolveOptions,
): Promise<PlannedDataset[]> {
  for (const task of config.tasks) checkBackbone(task, config, options.backbone);
  const published = config.tasks
    .filter(({ own }) => own === null)
    .map(({ name }) => publishedTask(name));
  const found = await findSources(published, options);
  const sources = new Map<string, TaskSource>(published.map(({ name }, i) => [name, found[i]!]));
  const tokenizer = tokenizerDigest(options.backbone.path);
  const datasets: PlannedDataset[] = [];
  for (const task of config.tasks) {
    const ofTask = await readTask(task, sources.get(task.name), config, options);
    const { rows, validation_rows } = config;
    const planned = {
      ...ofTask,
      tokenizer,
      max_length: maxLengthOf(ofTask.kind, config),
      rows,
      validation_rows,
    };
    datasets.push({ digest: datasetDigest(planned), ...planned });
  }
  return datasets;
}

/** @param source where the rows of a published task are; the user's own say that themselves */
function readTask(
  { name, own }: TaskConfig,
  source: TaskSource | undefined,
  config: SweepConfig,
  options: ResolveOptions,
): Promise<FoundRows> {
  const planning = (): QuestionPlanning => {
    const windows = {
      max_length: maxLengthOf('question_answering', config),
      stride: config.doc_stride,
    };
    return {
      config,
      encode: loadQaTokenizer(options.backbone.path, windows),
      onManyQuestions: options.onManyQuestions,
    };
  };
  if (own === null) {
    if (isSquadTask(name)) return readSquadTask(name, source!, planning());
    return isSummaryTask(name)
      ? readSummaryTask(name, source!, config)
      : readGlueTask(glueTask(name), source!, config);
  }
  if (own.kind === 'question_answering') return readOwnQuestionTask(name, own, planning());
  return own.kind === 'summarization'
    ? readOwnSummaryTask(name, own, config)
    : readOwnTask(name, own, config);
}

function maxLengthOf(kind: TaskKind, { max_length }: SweepConfig): number {
  return max_length ?? DEFAULT_MAX_LENGTH[kind];
}

async function readGlueTask(
  task: GlueTask,
  { source, files }: TaskSource,
  config: SweepConfig,
): Promise<FoundRows> {
  const splits: PlannedSplit[] = [];
  for (const { name } of task.splits) {
    const file = files[name] ?? null;
    const rows = await readRows(task, { name, file });
    const unlabelled = rows.findIndex((row) => row.label === null);
    if (unlabelled !== -1) {
      throw new ConfigError({
        where: file ?? task.name,
        message: `row ${unlabelled + 1} has no label; column "${task.label}" is expected in ${name}`,
      });
    }
    splits.push(plannedSplit(name, file, rows.length, sourceDigest(task, { name, file }), config));
  }
  return {
    task: task.name,
    kind: task.kind,
    num_labels: numLabels(task),
    label_names: [...task.labels],
    metrics: [...task.metrics],
    source,
    splits,
  };
}

/**
 * 32 hex digits from what decides a data set's content. Not the files' places, and not a limit that
 * is above the rows there are.
 *
 * Of the user's own files also the columns, and of those, of questions and of summaries the
 * metrics: a result has those that its trial was planned with, so that other metrics make other
 * trials.
 */
export function datasetDigest(dataset: Omit<PlannedDataset, 'digest'>): string {
  const {
    task,
    kind,
    num_labels,
    label_names,
    splits,
    tokenizer,
    max_length,
    columns,
    questions,
    summaries,
    metrics,
  } = dataset;
  const content = {
    format: DATASET_FORMAT,
    row_choice: ROW_CHOICE_VERSION,
    task,
    kind,
    num_labels,
    label_names,
    splits: splits.map(({ name, rows, of, digest }) => ({ name, rows, of, digest })),
    tokenizer,
    max_length,
    own: columns && { columns, metrics },
    questions: questions && { ...questions, metrics },
    summaries: summaries && { ...summaries, metrics },
  };
  return digestOf(content).slice(0, 32);
}

/**
 * A backbone writes or does not, and has a limited number of position embeddings; RoBERTa's begin
 * after its padding index. Windows must move on.
 */
function checkBackbone(task: TaskConfig, config: SweepConfig, backbone: PlannedBackbone): void {
  const where = config.file ?? config.name;
  const kind = kindOf(task);
  const misfit = taskProblem(task.name, kind, backbone);
  if (misfit !== null) throw new ConfigError({ where, message: misfit });
  const length = maxLengthOf(kind, config);
  const file = join(backbone.path, 'config.json');
  const model = JSON.parse(readFileSync(file, 'utf8')) as {
    max_position_embeddings?: number;
    pad_token_id?: number;
  };
  const positions =
    backbone.model_type === 't5' ? Infinity : (model.max_position_embeddings ?? Infinity);
  const longest =
    backbone.model_type === 'roberta' ? positions - (model.pad_token_id ?? 1) - 1 : positions;
  if (length > longest) {
    const why = config.max_length === null ? ` (the default for ${task.name})` : '';
    throw new ConfigError({
      where,
      message: `max_length: ${length}${why} is not allowed; ${backbone.name} has ${longest} positions`,
    });
  }
  if (kind === 'summarization') {
    for (const [key, asked] of [
      ['max_target_length', config.max_target_length],
      ['generation.max_length', config.generation.max_length],
    ] as const) {
      if (asked > longest)
        throw new ConfigError({
          where,
          message: `${key}: ${asked} is not allowed; ${backbone.name} has ${longest} positions`,
        });
    }
  }
  if (kind === 'question_answering' && config.doc_stride >= length) {
    const message = `doc_stride: ${config.doc_stride} is not allowed with max_length ${length}; must be less, for ${task.name}'s windows to move on`;
    throw new ConfigError({ where, message });
  }
}
