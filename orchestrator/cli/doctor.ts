/** `sa-orch doctor`: checks everything that a start needs. */
import { Command } from 'commander';
import { examine, type Finding } from '../runtime/doctor';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, progressLine, runAction } from './output';

const MARKS = { fine: '✓', note: '!', broken: '✗' } as const;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description(
      'check everything that `start` needs, without changing anything; exit status 1 if ' +
        'something is broken',
    )
    .option('--data-dir <dir>', 'data directory, as for `start` (default: SA_ORCH_DATA)')
    .option(
      '--python <path>',
      'Python interpreter for the torch trainer (default: SA_ORCH_PYTHON, else an environment ' +
        'created on first use)',
    )
    .addHelpText('after', '\nExample:\n  sa-orch doctor --data-dir ~/glue');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { dataDir?: string; python?: string; json?: boolean }) =>
      runAction(options.json === true, async () => {
        const findings = await examine({
          stateDir: stateDirectory(options.stateDir),
          root: artifactRoot(options.root),
          dataDir: options.dataDir ?? process.env.SA_ORCH_DATA,
          python: options.python ?? process.env.SA_ORCH_PYTHON,
        });
        if (options.json) printJson({ findings });
        else findings.forEach(show);
        if (findings.some(({ state }) => state === 'broken')) process.exitCode = 1;
      }),
  );
}

function show({ name, state, text, advice }: Finding): void {
  progressLine(
    MARKS[state],
    name,
    advice === null
      ? text
      : `${text}\n${' '.repeat(25)}${advice.replaceAll('\n', `\n${' '.repeat(25)}`)}`,
  );
}
