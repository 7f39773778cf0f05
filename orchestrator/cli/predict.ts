/** `sa-orch predict`: what a finished trial says of rows without labels. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { writeDurably } from '../../common/durable-files';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import { findFinished, type FinishedTrial } from '../export/trained-trial';
import { requireEmpty, writeFolder } from '../export/write-export';
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
import { predictInputs, requireInputs } from './predict-inputs';

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
    .description('predict rows without labels with a finished trial')
    .requiredOption('--trial <id>', 'id of a trial, or the beginning of one')
    .option('--input <file>', 'rows: .jsonl, .csv, .tsv or .parquet, with the columns of the task')
    .addOption(new Option('--split <name>', "GLUE's own rows instead of --input").choices(['test']))
    .option('--data-dir <dir>', 'with --split: directory with MRPC/, … (default: SA_ORCH_DATA)')
    .option('--out <path>', 'file (default: stdout); with --split, a new or empty folder')
    .addHelpText(
      'after',
      '\nEach line is JSON: {"label", "scores"} for classes, {"score"} for numbers.\n' +
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
  const inputs = requireInputs(finished);
  const [lines] = await predictInputs(
    finished,
    chooseTrainer(finished, options),
    async (to) => [await inputs.writeFile(resolve(input!), to)],
    (predictions, { rows }) => inputs.describe(predictions, rows, finished.dataset),
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
  const directory = dataDir ?? process.env.SA_ORCH_DATA;
  if (directory === undefined)
    throw new UserError("GLUE's test rows are needed: give --data-dir or set SA_ORCH_DATA", 2);
  const inputs = requireInputs(finished);
  const files = await predictInputs(
    finished,
    chooseTrainer(finished, options),
    (to) => inputs.writeTest(resolve(directory), to),
    (predictions, { rows, submission }): [string, string] => {
      progressLineOnStderr('✓', submission, plural(rows, 'row'));
      return [submission, inputs.writeSubmission(predictions, rows, finished.dataset)];
    },
  );
  return writeFolder(out, new Map(files));
}

/** The trainer that the user names or, for the time of the work, one of the trial's framework. */
function chooseTrainer({ root, result }: FinishedTrial, options: TrainerChoice) {
  return async <T>(work: (trainer: TrainerClient) => Promise<T>): Promise<T> => {
    if (options.trainer === undefined) {
      const framework = result.provenance.trained_by?.[0]?.framework === 'tfjs' ? 'tfjs' : 'torch';
      return withOwnTrainer(
        { ...options, root, framework, onProgress: progressLineOnStderr },
        work,
      );
    }
    const trainer = connectTrainer(options.trainer);
    try {
      return await work(trainer);
    } finally {
      trainer.close();
    }
  };
}
