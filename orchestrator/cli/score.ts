/** `sa-orch score`: a task's official metrics for predictions from anywhere. */
import { Command } from 'commander';
import { scoreGlue } from '../metrics/score';
import { addJsonOption } from './options';
import { printJson, runAction } from './output';

interface ScoreOptions {
  task: string;
  predictions: string;
  references: string;
  json?: boolean;
}

export function scoreCommand(): Command {
  const command = new Command('score')
    .description("compute a task's official metrics for a file of predictions")
    .requiredOption('--task <name>', 'a GLUE task: cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli')
    .requiredOption('--predictions <file>', 'one label (or score) a line, in the order of the references')
    .requiredOption('--references <file>', "the task's TSV file with labels, for example dev.tsv")
    .addHelpText('after', '\nExample:\n  sa-orch score --task mrpc --predictions out.txt --references glue/MRPC/dev.tsv --json');
  return addJsonOption(command).action((options: ScoreOptions) =>
    runAction(options.json === true, () => {
      const { metrics, rows } = scoreGlue(options.task, options.predictions, options.references);
      if (options.json) return printJson({ task: options.task, rows, metrics });
      for (const [name, value] of Object.entries(metrics)) process.stdout.write(`${name.padEnd(20)} ${value.toFixed(4)}\n`);
      process.stdout.write(`${'rows'.padEnd(20)} ${rows}\n`);
    }),
  );
}
