/** The command line: one file per command. */
import { Command, CommanderError } from 'commander';
import type { Place } from '../../common/explain-error';
import { packageVersion } from '../../common/package';
import { cleanCommand } from './clean';
import { compareCommand } from './compare';
import { cancelCommand, pauseCommand, resumeCommand } from './control';
import { doctorCommand } from './doctor';
import { downCommand } from './down';
import { exportCommand } from './export';
import { extendCommand } from './extend';
import { historyCommand } from './history';
import { logsCommand } from './logs';
import { artifactRoot, cacheDirectory, stateDirectory } from '../runtime/paths';
import { endWithoutOutput } from './lost-output';
import { normalizeFlags, type PlaceOptions } from './options';
import { printError, printJsonError, rememberPlaces } from './output';
import { planCommand } from './plan';
import { predictCommand } from './predict';
import { reportCommand } from './report';
import { retryCommand } from './retry';
import { runCommand } from './run';
import { scoreCommand } from './score';
import { startCommand } from './start';
import { statusCommand } from './status';
import { trainerCommand } from './trainer';
import { nameCommands, writeAsTyped } from './typed-command';
import { upCommand } from './up';
import { asksForJson, explainUsageErrors, splitUsageError } from './usage';
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
  extendCommand,
  retryCommand,
  reportCommand,
  compareCommand,
  historyCommand,
  logsCommand,
  exportCommand,
  predictCommand,
  scoreCommand,
  doctorCommand,
  upCommand,
  downCommand,
  cleanCommand,
  workerCommand,
  trainerCommand,
];

/** @param onUsageError is given what is said of one */
function program(onUsageError: (text: string) => void): Command {
  const root = new Command('sa-orch')
    .description(
      'Durable sweeps of sparse adapters: prune at initialization, train on a frozen backbone, ' +
        'compare mean ± std over seeds.',
    )
    .version(packageVersion())
    .showHelpAfterError(
      '(`sa-orch help` lists the commands; --help after a command shows its options)',
    )
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  sa-orch start --sweep glue                             run a sweep\n' +
        '  sa-orch run --task mrpc --pruner snip --sparsity 0.4   run one trial\n' +
        '  sa-orch status                                         show services and sweeps\n' +
        '\nExit status: 0 success, 1 the work failed, 2 invalid request, 3 a service is ' +
        'unreachable,\n130 interrupted: a sweep that runs goes on.',
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
  for (const command of [root, ...root.commands]) {
    command.exitOverride();
    explainUsageErrors(command, onUsageError);
  }
  return root.hook('preAction', (_, command) => rememberPlaces(() => listPlaces(command.opts())));
}

/** Lets an error say how to use another folder than the one that cannot be used. */
function listPlaces({ root, stateDir }: PlaceOptions): Place[] {
  return [
    { folder: artifactRoot(root), option: '--root <dir>' },
    { folder: stateDirectory(stateDir), option: '--state-dir <dir>' },
    { folder: cacheDirectory(), option: 'SA_ORCH_CACHE=<dir>' },
  ];
}

async function main(): Promise<void> {
  process.stdout.on('error', endWithoutOutput);
  // Nobody is left to tell.
  process.stderr.on('error', () => undefined);
  const argv = normalizeFlags(process.argv);
  const json = asksForJson(argv);
  process.on('uncaughtException', (error) => process.exit(printError(json, error)));
  let usageError = '';
  try {
    await program((text) => (usageError = text)).parseAsync(argv);
  } catch (error) {
    // Commander has already printed its message. Help and version exit with 0; the rest are usage
    // errors.
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    if (!json || error.exitCode === 0) return;
    const { message, hint } = splitUsageError(usageError);
    printJsonError(message, hint, 2);
  }
}

void main();
