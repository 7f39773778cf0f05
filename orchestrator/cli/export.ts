/** `sa-orch export`: a finished trial as an adapter of another library, or as a model. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { formatBytes } from '../base/format-bytes';
import { FORMAT_NAMES, type FormatName } from '../export/export-format';
import { FORMATS } from '../export/formats';
import { findFinished, readTrained } from '../export/trained-trial';
import { requireEmpty, writeExport } from '../export/write-export';
import { adapterLabel } from '../sweep/adapters';
import { findTrialFolder } from './find-trial';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { addTrainerChoice, writeSubmissions, type TrainerChoice } from './predict';
import { printJson, progressLine, runAction } from './output';

interface ExportOptions extends PlaceOptions, TrainerChoice {
  format: FormatName | typeof GLUE;
  out: string;
  dataDir?: string;
  json?: boolean;
}

/** Submission files, which are made of predictions. */
const GLUE = 'glue';

export function exportCommand(): Command {
  const command = new Command('export')
    .description('write a finished trial in a form that other libraries load')
    .argument('<trial>', 'id of a trial, or the beginning of one')
    .addOption(
      new Option('--format <name>', 'see below')
        .choices([...FORMAT_NAMES, GLUE])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <dir>', 'a new or empty folder')
    .option(
      '--data-dir <dir>',
      'with --format glue: directory with MRPC/, … (default: SA_ORCH_DATA)',
    )
    .addHelpText(
      'after',
      '\nFormats:\n' +
        '  peft          for PEFT: LoRA, BitFit (as BEFT), prompts of T5, with the head\n' +
        '  adapterhub    for the library adapters: bottlenecks, LoRA, prefixes, MAM, prompts,\n' +
        '                with the head\n' +
        '  merged        for Transformers alone: LoRA, BitFit and full fine-tuning in the\n' +
        '                weights of the backbone\n' +
        '  safetensors   this project’s own names, without units that are gone\n' +
        "  glue          GLUE's submission files: predictions of its test rows\n" +
        '\nEach has a model card (README.md) with the code that loads it, and the masks.\n' +
        '\nExample:\n  sa-orch export t02cd4a5 --format peft --out mrpc-lora',
    );
  return addTrainerChoice(addJsonOption(addPlaceOptions(command))).action(
    (word: string, options: ExportOptions) =>
      runAction(options.json === true, () => exportTrial(word, options)),
  );
}

async function exportTrial(
  word: string,
  { format, out: folder, json, dataDir, ...places }: ExportOptions,
): Promise<void> {
  const out = resolve(folder);
  const { id, root } = await findTrialFolder(word, places);
  const finished = await findFinished(root, id);
  requireEmpty(out);
  if (format === GLUE) {
    const files = await writeSubmissions(finished, out, dataDir, places);
    if (json) printJson({ trial: id, format, out, files });
    return;
  }
  const { files, notes, compacted } = await writeExport(await readTrained(finished), format, out);
  if (json) return printJson({ trial: id, format, out, files, notes, compacted });
  const { trial, dataset } = finished;
  progressLine('✓', `trial ${id}`, `${adapterLabel(trial.adapter)} on ${dataset.task}`);
  progressLine('✓', FORMATS[format].title, out);
  for (const [name, bytes] of Object.entries(files)) progressLine('·', name, formatBytes(bytes));
  if (compacted) {
    const { units, kept, bytes, kept_bytes: left } = compacted;
    const sizes = `${formatBytes(left)} instead of ${formatBytes(bytes)}`;
    progressLine('·', 'compacted', `${kept} of ${units} units are left: ${sizes} of modules`);
  }
  for (const note of notes) progressLine('·', 'note', note);
}
