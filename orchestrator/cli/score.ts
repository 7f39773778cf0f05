/** `sa-orch score`: a task's official metrics for predictions from any source. */
import { Command } from 'commander';
import type { ScoreRequest } from '../tasks/family';
import { FAMILIES, PUBLISHED_TASK_NAMES } from '../tasks/registry';
import { SCORE_OPTIONS, scoreTask } from '../tasks/score';
import { addJsonOption } from './options';
import { printJson, runAction } from './output';

interface ScoreOptions extends ScoreRequest {
  json?: boolean;
}

const FILES = FAMILIES.flatMap(({ score: { help } }) =>
  help.lines.map((line, i) => `  ${(i === 0 ? help.names : '').padEnd(20)}  ${line}`),
);
const EXAMPLES = FAMILIES.map(({ score }) => `  sa-orch score ${score.help.example}`);
const HELP = ['', 'Files:', ...FILES, '', 'Examples:', ...EXAMPLES].join('\n');

export function scoreCommand(): Command {
  const command = new Command('score')
    .description("compute a task's official metrics for a file of predictions")
    .requiredOption('--task <name>', PUBLISHED_TASK_NAMES.join(', '))
    .requiredOption('--predictions <file>', 'file of predictions, see below')
    .requiredOption(
      '--references <file>',
      'file with the correct labels, answers or summaries, see below',
    );
  for (const { flags, description } of SCORE_OPTIONS) command.option(flags, description);
  command.addHelpText('after', HELP);
  return addJsonOption(command).action((options: ScoreOptions) =>
    runAction(options.json === true, async () => {
      const { task } = options;
      const { metrics, rows, warnings } = await scoreTask(options);
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
