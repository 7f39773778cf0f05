/** `sa-orch score`: a task's official metrics for predictions from any source. */
import { Command } from 'commander';
import { SCORED_TASKS, scoreTask } from '../tasks/score';
import { addJsonOption } from './options';
import { printJson, runAction } from './output';

interface ScoreOptions {
  task: string;
  predictions: string;
  references: string;
  naProbs?: string;
  stemmer: boolean;
  json?: boolean;
}

const HELP = `
Files:
  GLUE                  predictions: one label (or score) per line; references: the task's TSV file,
                        in the same order
  squad, squad_v2       predictions: {"<question id>": "<answer>", …}; references: SQuAD's JSON;
                        metrics in percent, as the official scripts print them
  xsum, cnn_dailymail   predictions: one summary per line, or JSONL, CSV, TSV or parquet with a
                        column "summary"; references: JSONL, CSV, TSV or parquet with the data set's
                        columns; ROUGE F1 in [0, 1], as rouge-score computes it

Examples:
  sa-orch score --task mrpc --predictions out.txt --references glue/MRPC/dev.tsv --json
  sa-orch score --task squad_v2 --predictions answers.json --references dev-v2.0.json \\
      --na-probs no-answer.json
  sa-orch score --task xsum --predictions summaries.txt --references validation.jsonl`;

export function scoreCommand(): Command {
  const command = new Command('score')
    .description("compute a task's official metrics for a file of predictions")
    .requiredOption('--task <name>', SCORED_TASKS.join(', '))
    .requiredOption('--predictions <file>', 'file of predictions, see below')
    .requiredOption(
      '--references <file>',
      'file with the correct labels, answers or summaries, see below',
    )
    .option(
      '--na-probs <file>',
      'squad_v2: {"<question id>": <number>, …}, higher if there is probably no answer; also ' +
        'reports the best threshold',
    )
    .option('--no-stemmer', 'xsum, cnn_dailymail: compare words instead of their stems')
    .addHelpText('after', HELP);
  return addJsonOption(command).action((options: ScoreOptions) =>
    runAction(options.json === true, async () => {
      const { task, predictions, references, naProbs, stemmer } = options;
      const { metrics, rows, warnings } = await scoreTask({
        task,
        predictions,
        references,
        noAnswer: naProbs,
        stemmer,
      });
      for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
      if (options.json) return printJson({ task, rows, metrics, warnings });
      for (const [name, value] of Object.entries(metrics)) {
        process.stdout.write(
          `${name.padEnd(20)} ${value.toFixed(name.endsWith('total') ? 0 : 4)}\n`,
        );
      }
      process.stdout.write(`${'rows'.padEnd(20)} ${rows}\n`);
    }),
  );
}
