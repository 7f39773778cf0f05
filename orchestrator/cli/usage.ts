/** What a command says of options that it does not have, or has to be given. */
import type { Command, Option } from 'commander';
import { nearest } from '../base/suggest';

/**
 * Suggests the option or command that a mistyped one most likely is, and reports unknown options
 * before missing ones, because `--swep glue` is both.
 *
 * @param onError is given what is said
 */
export function explainUsageErrors(
  command: Command,
  onError: (text: string) => void = () => undefined,
): void {
  command.showSuggestionAfterError(false);
  command.configureOutput({
    outputError: (text, write) => {
      const said = suggestInstead(command, text);
      onError(said);
      write(said);
    },
  });
  const required = command.options.filter(({ mandatory }) => mandatory);
  if (required.length === 0) return;
  for (const option of required) option.makeOptionMandatory(false);
  command.allowExcessArguments(true);
  command.hook('preAction', () => checkRequired(command, required));
}

/** Whether a command line that may be wrong asks for a JSON document. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(2, end === -1 ? undefined : end).includes('--json');
}

/** What was said of a usage error, as a message and a hint; of `help nosuch` it is its help. */
export function splitUsageError(said: string): { message: string; hint: string | undefined } {
  if (said === '')
    return { message: 'there is no such command', hint: '`sa-orch help` lists the commands.' };
  const [message = '', ...more] = said.trimEnd().split('\n');
  return {
    message: message.replace(/^error: /, ''),
    hint: more.length === 0 ? undefined : more.join('\n').replaceAll(/^\((.*)\)$/gm, '$1'),
  };
}

function suggestInstead(command: Command, text: string): string {
  const [, unknown] = /^error: unknown (?:option|command) '([^']*)'/.exec(text) ?? [];
  if (unknown === undefined) return text;
  const near = unknown.startsWith('-')
    ? nearest(unknown.replace(/^-+/, ''), listOptions(command))
    : nearest(unknown, listCommands(command));
  if (near === null) return text;
  return `${text.trimEnd()}\n(Did you mean ${unknown.startsWith('-') ? '--' : ''}${near}?)\n`;
}

/** Names of its options, without `--`. */
function listOptions(command: Command): string[] {
  const long = command
    .createHelp()
    .visibleOptions(command)
    .map((option) => option.long ?? '');
  return long.filter((flag) => flag !== '').map((flag) => flag.replace(/^--/, ''));
}

const listCommands = (command: Command) =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((each) => each.name());

function checkRequired(command: Command, required: readonly Option[]): void {
  const missing = required.find(
    (option) => command.getOptionValue(option.attributeName()) === undefined,
  );
  const stray = command.args[command.registeredArguments.length];
  if (missing !== undefined) {
    const meant = stray === undefined ? '' : `\n(Did you mean ${missing.long} ${stray}?)`;
    command.error(`error: required option '${missing.flags}' not specified${meant}`);
  }
  if (stray !== undefined) command.error(`error: unexpected argument '${stray}'`);
}
