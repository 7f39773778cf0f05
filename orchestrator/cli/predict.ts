/** `sa-orch predict`: what a finished trial says of rows without labels. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { writeDurably } from '../../common/durable-files';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import { findFinished, type FinishedTrial } from '../export/trained-trial';
import { requireEmpty, writeFolder } from '../export/write-export';
import type { Framework } from '../runtime/trainer-command';
import { askCapabilities } from '../runtime/trainer-health';
import { connectTrainer, type TrainerClient } from '../trainer-client/client';
import { findTrialFolder } from './find-trial';
import {
  addPlaceOptions,
  parseCount,
  parseDevice,
  parseAddress,
  type PlaceOptions,
} from './options';
import { progressLineOnStderr, runAction } from './output';
import { withOwnTrainer } from './own-trainer';
import { FAMILIES, findFamily } from '../tasks/registry';
import type { Submissions } from '../tasks/inputs';
import type { PlannedDataset, TrialResult } from '../sweep/types';
import { predictInputs } from './predict-inputs';

const ANSWER_MS = 15_000;

export interface TrainerChoice {
  trainer?: string;
  python?: string;
  device?: DeviceName;
  threads?: number;
}

interface PredictOptions extends PlaceOptions, TrainerChoice {
  trial: string;
  input?: string;
  split?: string;
  dataDir?: string;
  out?: string;
}

export function predictCommand(): Command {
  const command = new Command('predict')
    .description('labels, answers or summaries of new rows, by a finished trial')
    .requiredOption('--trial <id>', 'id of a trial, or the beginning of one')
    .option('--input <file>', 'rows: .jsonl, .csv, .tsv or .parquet, with the columns of the task')
    .addOption(new Option('--split <name>', "GLUE's own rows instead of --input").choices(['test']))
    .option('--data-dir <dir>', 'with --split: directory with MRPC/, … (default: SA_ORCH_DATA)')
    .option('--out <path>', 'file (default: stdout); with --split, a new or empty folder')
    .addHelpText(
      'after',
      '\nThe columns of a row, and the JSON of its line in the output:\n' +
        FAMILIES.map(
          ({ inputs: { help } }) => `  ${help.tasks}: ${help.columns}\n      → ${help.line}\n`,
        ).join('') +
        "With --split test, --out has GLUE's submission files.\n" +
        '\nExamples:\n  sa-orch predict --trial t02cd4a5 --input rows.jsonl --out labels.jsonl\n' +
        '  sa-orch predict --trial t02cd4a5 --split test --data-dir ~/glue --out submission',
    );
  return addTrainerChoice(addPlaceOptions(command)).action((options: PredictOptions) =>
    runAction(false, () => predict(options)),
  );
}

export function addTrainerChoice(command: Command): Command {
  return command
    .option(
      '--trainer <address>',
      'use the trainer at this address instead of starting one',
      parseAddress,
    )
    .option('--python <path>', 'Python interpreter for the torch trainer')
    .option('--device <name>', 'device: auto, cpu, cuda or cuda:<index>', parseDevice)
    .option('--threads <n>', 'CPU threads; affects the last digits', parseCount);
}

async function predict(options: PredictOptions): Promise<void> {
  const { trial: word, input, split, out, dataDir } = options;
  if ((input === undefined) === (split === undefined))
    throw new UserError('give either --input <file> or --split test', 2);
  if (split !== undefined && out === undefined)
    throw new UserError('--split test needs --out <dir> for the submission files', 2);
  const { id, root } = await findTrialFolder(word, options);
  const finished = await findFinished(root, id);
  if (split !== undefined) {
    await writeSubmissions(finished, resolve(out!), dataDir, options);
    return;
  }
  const { inputs } = findFamily(finished.dataset.kind);
  const [lines] = await predictInputs(
    finished,
    chooseTrainer(finished, options),
    async (to) => [await inputs.writeFile(resolve(input!), to)],
    (predictions, split, at) => inputs.describe(predictions, split, at),
  );
  const text = lines!.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (out === undefined) return void process.stdout.write(text);
  await writeDurably(resolve(out), text);
  progressLineOnStderr('✓', 'predictions', `${plural(lines!.length, 'row')} in ${resolve(out)}`);
}

/** Writes the submission files of a trial's task into a folder. */
export async function writeSubmissions(
  finished: FinishedTrial,
  out: string,
  dataDir: string | undefined,
  options: TrainerChoice,
): Promise<Record<string, number>> {
  requireEmpty(out);
  const submissions = requireSubmissions(finished);
  const directory = dataDir ?? process.env.SA_ORCH_DATA;
  if (directory === undefined)
    throw new UserError("GLUE's test rows are needed: give --data-dir or set SA_ORCH_DATA", 2);
  const files = await predictInputs(
    finished,
    chooseTrainer(finished, options),
    async (to) => {
      const { splits, leftOut } = await submissions.writeTest(resolve(directory), to);
      for (const { submission, reason } of leftOut)
        progressLineOnStderr('·', submission, `left out: ${reason}`);
      return splits;
    },
    (predictions, split): [string, string] => {
      progressLineOnStderr('✓', split.submission, plural(split.rows, 'row'));
      return [split.submission, submissions.format(predictions, split, finished.dataset)];
    },
  );
  return writeFolder(out, new Map(files));
}

/** @throws UserError (exit 2) if no server takes predictions of such tasks */
function requireSubmissions({ trial, dataset }: FinishedTrial): Submissions<PlannedDataset> {
  const { submissions } = findFamily(dataset.kind);
  if (submissions !== null) return submissions;
  throw new UserError(
    `${trial.id} is of ${dataset.task}; only GLUE's tasks have submission files`,
    2,
    'Use `sa-orch predict --input` with a file of your own.',
  );
}

/** The trainer that the user names or, for the time of the work, one of the trial's framework. */
function chooseTrainer({ root, result }: FinishedTrial, options: TrainerChoice) {
  return async <T>(
    signal: AbortSignal,
    work: (trainer: TrainerClient) => Promise<T>,
  ): Promise<T> => {
    if (options.trainer === undefined) {
      const asInSweep = describeLike(result);
      return withOwnTrainer(
        { ...asInSweep, ...options, root, signal, onProgress: progressLineOnStderr },
        work,
      );
    }
    await askCapabilities({ address: options.trainer }, ANSWER_MS);
    const trainer = connectTrainer(options.trainer);
    try {
      return await work(trainer);
    } finally {
      trainer.close();
    }
  };
}

/** What a trainer needs so that its numbers are those of the trial, bit for bit. */
function describeLike({ provenance: { trained_by, predicted_by } }: TrialResult): {
  framework: Framework;
  device?: DeviceName;
  threads?: number;
} {
  const last = predicted_by?.at(-1) ?? trained_by?.at(-1);
  const framework = last?.framework === 'tfjs' ? 'tfjs' : 'torch';
  if (last?.device !== 'cpu') return { framework };
  const threads = Number(last.details.threads);
  const has = threads >= 1 && threads <= availableParallelism();
  return { framework, device: 'cpu', ...(has ? { threads } : {}) };
}
