/** The command line: one file per command. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../../common/package';
import { cleanCommand } from './clean';
import { cancelCommand, pauseCommand, resumeCommand } from './control';
import { doctorCommand } from './doctor';
import { downCommand } from './down';
import { logsCommand } from './logs';
import { normalizeFlags } from './options';
import { planCommand } from './plan';
import { reportCommand } from './report';
import { runCommand } from './run';
import { scoreCommand } from './score';
import { startCommand } from './start';
import { statusCommand } from './status';
import { trainerCommand } from './trainer';
import { nameCommands, writeAsTyped } from './typed-command';
import { upCommand } from './up';
import { watchCommand } from './watch';
import { workerCommand } from './worker';

const COMMANDS = [
  startCommand,
  runCommand,
  planCommand,
  watchCommand,
  statusCommand,
  pauseCommand,
  resumeCommand,
  cancelCommand,
  reportCommand,
  logsCommand,
  scoreCommand,
  doctorCommand,
  upCommand,
  downCommand,
  cleanCommand,
  workerCommand,
  trainerCommand,
];

function program(): Command {
  const root = new Command('sa-orch')
    .description(
      'Durable sweeps of sparse adapters: prune at initialization, train on a frozen backbone, ' +
        'compare mean ± std over seeds.',
    )
    .version(packageVersion())
    .showHelpAfterError(
      '(`sa-orch help` lists the commands; --help after a command shows its options)',
    )
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  sa-orch start --sweep glue                             run a sweep\n' +
        '  sa-orch run --task mrpc --pruner snip --sparsity 0.4   run one trial\n' +
        '  sa-orch status                                         show services and sweeps\n' +
        '\nExit status: 0 success, 1 the work failed, 2 invalid request, 3 a service is ' +
        'unreachable.',
    );
  const asTyped = (text: string) => writeAsTyped(text, { withPlaces: false });
  root.configureOutput({
    writeOut: (text) => process.stdout.write(asTyped(text)),
    writeErr: (text) => process.stderr.write(asTyped(text)),
  });
  for (const make of COMMANDS) {
    const command = make();
    command.copyInheritedSettings(root);
    root.addCommand(command);
  }
  nameCommands(root.commands.map((command) => command.name()));
  for (const command of [root, ...root.commands]) command.exitOverride();
  return root;
}

async function main(): Promise<void> {
  // A reader such as `| head` may close the pipe early: nobody is left to print for.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  try {
    await program().parseAsync(normalizeFlags(process.argv));
  } catch (error) {
    // Commander has already printed its message. Help and version exit with 0; the rest are usage
    // errors.
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

void main();
