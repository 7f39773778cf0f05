/** GLUE's test rows, and the files that its server takes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, UserError } from '../../base/errors';
import type { Submissions, WrittenTests } from '../inputs';
import type { Row, RowsDataset } from './dataset';
import { readGlueTsv } from './glue-tsv';
import { readFinite, writeUnlabelled } from './inputs';
import { argmaxRows } from './metrics';
import { findGlueTask, GLUE_TASK_NAMES, type GlueTask, type GlueTaskName } from './published';

export const glueSubmissions: Submissions<RowsDataset> = {
  async writeTest(directory, to) {
    const { task: name, columns } = to.dataset;
    if (columns !== undefined || !isGlue(name))
      throw new UserError(
        `task ${name} has no official test rows; GLUE's tasks have: ${GLUE_TASK_NAMES.join(', ')}`,
        2,
        'Use --input with a file of your own.',
      );
    const written: WrittenTests = { splits: [], leftOut: [] };
    const task = findGlueTask(name);
    for (const { split, places, submission, isOptional } of listTests(task)) {
      const file = findTest(directory, places);
      const reason = `has no ${places[0]}, GLUE's test rows, directly or under glue/`;
      if (file !== undefined)
        written.splits.push({
          submission,
          ...(await writeUnlabelled(readTest(file, task), split, to)),
        });
      else if (isOptional) written.leftOut.push({ submission, reason: `${directory} ${reason}` });
      else throw new ConfigError({ where: directory, message: reason });
    }
    return written;
  },
  format(predictions, { rows }, dataset) {
    const task = findGlueTask(dataset.task);
    const logits = readFinite(predictions, dataset, rows);
    const cells =
      task.kind === 'regression'
        ? Array.from(logits, (score) => Math.min(5, Math.max(0, score)).toFixed(3))
        : argmaxRows(logits, dataset.num_labels).map((index) =>
            IS_NAMED.includes(task.name) ? task.labels[index]! : String(index),
          );
    return `index\tprediction\n${cells.map((cell, i) => `${i}\t${cell}\n`).join('')}`;
  },
};

/** Tasks whose submissions have the names of classes; the others have 0 and 1. */
const IS_NAMED: readonly GlueTaskName[] = ['mnli', 'qnli', 'rte'];

const isGlue = (name: string): name is GlueTaskName =>
  (GLUE_TASK_NAMES as readonly string[]).includes(name);

interface TestFile {
  split: string;
  /** Where it may be, the usual place first. */
  places: readonly string[];
  submission: string;
  isOptional?: true;
}

/**
 * GLUE's files of test rows, and what their submissions are called. The diagnostic rows (AX) are
 * predicted by a model of MNLI; copies of GLUE have them at different places, or not at all.
 */
function listTests({ name, folder }: GlueTask): TestFile[] {
  if (name !== 'mnli')
    return [{ split: 'test', places: [`${folder}/test.tsv`], submission: `${folder}.tsv` }];
  return [
    { split: 'test', places: ['MNLI/test_matched.tsv'], submission: 'MNLI-m.tsv' },
    {
      split: 'test_mismatched',
      places: ['MNLI/test_mismatched.tsv'],
      submission: 'MNLI-mm.tsv',
    },
    {
      split: 'diagnostic',
      places: ['diagnostic/diagnostic.tsv', 'AX/test.tsv', 'AX/AX.tsv', 'AX.tsv'],
      submission: 'AX.tsv',
      isOptional: true,
    },
  ];
}

function findTest(directory: string, places: readonly string[]): string | undefined {
  return places
    .flatMap((place) => [join(directory, 'glue', place), join(directory, place)])
    .find((path) => existsSync(path));
}

/** Test files have a header, also where training files have none, and no labels. */
function readTest(file: string, task: GlueTask): Row[] {
  const { headerless, skipsCutLines, ...rest } = task;
  void [headerless, skipsCutLines];
  return readGlueTsv(file, { ...rest, label: NO_LABEL });
}

/** No column is called so. */
const NO_LABEL = '\0';
