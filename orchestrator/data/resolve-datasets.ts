import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../config/errors';
import type { SweepConfig } from '../config/sweep-config';
import { digestOf } from '../sweep/identity';
import type { PlannedBackbone, PlannedDataset, PlannedSplit } from '../sweep/types';
import { glueTask, numLabels, type GlueTask } from './glue-tasks';
import { readOwnTask } from './own-task';
import { plannedSplit, type FoundRows } from './planned-split';
import { ROW_CHOICE_VERSION } from './rows';
import { findSources, readRows, sourceDigest, type SourceOptions, type TaskSource } from './source';
import { tokenizerDigest } from './tokenizer';

/** Raised when the same rows would be written in another form. */
const DATASET_FORMAT = 1;

export interface ResolveOptions extends SourceOptions {
  backbone: PlannedBackbone;
}

/**
 * Finds the rows of each task of a sweep and says which of them are used: one planned data set a task, in the order of the tasks.
 * Reads every file to its end, so that a broken one is found before anything runs.
 */
export async function resolveDatasets(config: SweepConfig, options: ResolveOptions): Promise<PlannedDataset[]> {
  checkMaxLength(config, options.backbone);
  const glue = config.tasks.filter(({ own }) => own === null).map(({ name }) => glueTask(name));
  const found = await findSources(glue, options);
  const sources = new Map<string, TaskSource>(glue.map(({ name }, i) => [name, found[i]!]));
  const tokenizer = tokenizerDigest(options.backbone.path);
  const datasets: PlannedDataset[] = [];
  for (const { name, own } of config.tasks) {
    const ofTask = own === null ? await readGlueTask(glueTask(name), sources.get(name)!, config) : await readOwnTask(name, own, config);
    const { max_length, rows, validation_rows } = config;
    const planned = { ...ofTask, tokenizer, max_length, rows, validation_rows };
    datasets.push({ digest: datasetDigest(planned), ...planned });
  }
  return datasets;
}

async function readGlueTask(task: GlueTask, { source, files }: TaskSource, config: SweepConfig): Promise<FoundRows> {
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
 * 32 hex digits from what decides a data set's content. Not the files' places, and not a limit that is above the rows there are.
 *
 * Of the user's own files also the columns, and the metrics: a result has those that its trial was planned with, so that other
 * metrics make other trials.
 */
export function datasetDigest(dataset: Omit<PlannedDataset, 'digest'>): string {
  const { task, kind, num_labels, label_names, splits, tokenizer, max_length, columns, metrics } = dataset;
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
  };
  return digestOf(content).slice(0, 32);
}

/** A backbone has a limited number of position embeddings; RoBERTa's begin after its padding index. */
function checkMaxLength(config: SweepConfig, backbone: PlannedBackbone): void {
  const file = join(backbone.path, 'config.json');
  const model = JSON.parse(readFileSync(file, 'utf8')) as { max_position_embeddings?: number; pad_token_id?: number };
  const positions = model.max_position_embeddings ?? Infinity;
  const longest = backbone.model_type === 'roberta' ? positions - (model.pad_token_id ?? 1) - 1 : positions;
  if (config.max_length > longest) {
    const where = config.file ?? config.name;
    throw new ConfigError({ where, message: `max_length: ${config.max_length} is not allowed; ${backbone.name} has ${longest} positions` });
  }
}
