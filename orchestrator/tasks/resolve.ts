import { ROW_CHOICE_VERSION } from '../datasets/choose-rows';
import { HOLD_OUT_VERSION } from '../datasets/hold-out';
import { digestValue } from '../sweep/identity';
import type { PlannedBackbone, PlannedDataset } from '../sweep/types';
import { digestTokenizer } from '../tokenizers/tokenizer';
import { checkBackbone } from './check-backbone';
import type { DatasetRequest } from './dataset-request';
import type { TaskFamily, TaskSource } from './family';
import { findFamily, publishedTask } from './registry';
import { findSources, type SourceOptions } from './sources';

/** Increased when the format in which rows are written changes. */
const DATASET_FORMAT = 1;

export interface ResolveOptions extends SourceOptions {
  backbone: PlannedBackbone;
  /** Called before work that takes a while. */
  onLongWork?: (text: string) => void;
}

/**
 * Finds the rows of each task of a sweep and decides which are used. Returns one planned data set
 * per task, in the order of the tasks, and behind them, with a search, those with held-out rows.
 * Reads every file to its end, so that a broken one is found
 * before anything runs.
 */
export async function resolveDatasets(
  request: DatasetRequest,
  options: ResolveOptions,
): Promise<PlannedDataset[]> {
  const { backbone } = options;
  for (const task of request.tasks) checkBackbone(task, findFamily(task.kind), request, backbone);
  const published = request.tasks
    .filter(({ own }) => own === null)
    .map(({ name }) => publishedTask(name));
  const found = await findSources(published, options);
  const sources = new Map<string, TaskSource>(published.map(({ name }, i) => [name, found[i]!]));
  const tokenizer = digestTokenizer(backbone.path);
  const { rows, validation_rows } = request;
  const datasets: PlannedDataset[] = [];
  const heldOut: PlannedDataset[] = [];
  for (const task of request.tasks) {
    const family = findFamily(task.kind);
    const max_length = request.max_length ?? family.defaultMaxLength;
    const context = {
      settings: request,
      limits: { rows, validation_rows },
      holdOut: request.search?.hold_out ?? null,
      max_length,
      backbonePath: backbone.path,
      onLongWork: options.onLongWork,
    };
    const { rows: ofTask, heldOut: ofSearch } =
      task.own === null
        ? await family.planning.planPublished(task.name, sources.get(task.name)!, context)
        : await family.planning.planOwn(task.name, task.own, context);
    const planned = { ...ofTask, tokenizer, max_length, rows, validation_rows };
    datasets.push({ digest: digestDataset(planned, family), ...planned });
    if (ofSearch === null) continue;
    const held_out = { fraction: context.holdOut! };
    const other = { ...planned, ...ofSearch, held_out };
    heldOut.push({ digest: digestDataset(other, family), ...other });
  }
  return [...datasets, ...heldOut];
}

/**
 * 32 hex digits from everything that determines a data set's content. The files' paths are not part
 * of it, nor is a limit above the number of rows.
 *
 * The columns of the user's own files are part of it, and the metrics of those, of questions and of
 * summaries: a result has the metrics that its trial was planned with, so different metrics make
 * different trials.
 */
function digestDataset(dataset: Omit<PlannedDataset, 'digest'>, family: TaskFamily): string {
  const { task, kind, num_labels, label_names, splits, tokenizer, max_length } = dataset;
  const { held_out } = dataset;
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
    held_out: held_out && { ...held_out, choice: HOLD_OUT_VERSION },
    ...family.planning.identify(dataset),
  };
  return digestValue(content).slice(0, 32);
}
