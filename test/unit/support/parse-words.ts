/** Command lines as texts print them. */
import type { Command } from 'commander';
import { cleanCommand } from '../../../orchestrator/cli/clean';
import { cancelCommand } from '../../../orchestrator/cli/control';
import { doctorCommand } from '../../../orchestrator/cli/doctor';
import { exportCommand } from '../../../orchestrator/cli/export';
import { extendCommand } from '../../../orchestrator/cli/extend';
import { logsCommand } from '../../../orchestrator/cli/logs';
import { normalizeFlags } from '../../../orchestrator/cli/options';
import { planCommand } from '../../../orchestrator/cli/plan';
import { predictCommand } from '../../../orchestrator/cli/predict';
import { reportCommand } from '../../../orchestrator/cli/report';
import { retryCommand } from '../../../orchestrator/cli/retry';
import { runCommand } from '../../../orchestrator/cli/run';
import { scoreCommand } from '../../../orchestrator/cli/score';
import { startCommand } from '../../../orchestrator/cli/start';
import { statusCommand } from '../../../orchestrator/cli/status';
import { trainerCommand } from '../../../orchestrator/cli/trainer';
import { watchCommand } from '../../../orchestrator/cli/watch';
import { workerCommand } from '../../../orchestrator/cli/worker';

const COMMANDS = [
  cancelCommand,
  cleanCommand,
  doctorCommand,
  exportCommand,
  extendCommand,
  logsCommand,
  planCommand,
  predictCommand,
  reportCommand,
  retryCommand,
  runCommand,
  scoreCommand,
  startCommand,
  statusCommand,
  trainerCommand,
  watchCommand,
  workerCommand,
];

/**
 * The words after `sa-orch` of each command that a text has, one a line, perhaps after other words;
 * a line may go on after a backslash, and ends with a comment. What stands in quotes is one word.
 */
export function listCommands(text: string): string[][] {
  return [...text.replaceAll(/\\\n[# ]*/g, '').matchAll(/(?<!-n )\bsa-orch ([a-z].*)$/gm)].map(
    ([, words]) =>
      [...words!.split(/\s#|;/)[0]!.matchAll(/"[^"]*"|'[^']*'|\S+/g)].map(([word]) =>
        word.replaceAll(/["']/g, ''),
      ),
  );
}

/** Parses words as `sa-orch` would, and does nothing. Returns the options. */
export async function parseWords([name, ...words]: string[]): Promise<Record<string, unknown>> {
  const command = COMMANDS.map((make) => make()).find((each) => each.name() === name);
  if (command === undefined) throw new Error(`there is no command ${name}`);
  let options: Record<string, unknown> = {};
  const keep = (...parsed: unknown[]): void => {
    options = (parsed.at(-1) as Command).opts();
  };
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  await command.action(keep).parseAsync(normalizeFlags(words), { from: 'user' });
  return options;
}
