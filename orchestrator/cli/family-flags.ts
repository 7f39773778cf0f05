/** The flags of `sa-orch run` for settings of one task family. */
import { Option, type Command } from 'commander';
import { FAMILIES } from '../tasks/registry';
import { parseInteger, parseNumber } from './options';

const FLAGS = FAMILIES.flatMap(({ settings }) => settings.runFlags).map((flag) => {
  const option = new Option(flag.flags, flag.description);
  return { ...flag, key: option.attributeName(), long: option.long! };
});

/** The flag of each setting, by its path in a sweep file: `generation.beams`. */
export const FAMILY_FLAGS: Readonly<Record<string, string>> = Object.fromEntries(
  FLAGS.map(({ path, long }) => [path.join('.'), long]),
);

export function addFamilyFlags(command: Command): Command {
  for (const { flags, description, isWhole } of FLAGS)
    command.option(flags, description, isWhole ? parseInteger : parseNumber);
  return command;
}

/** The flags as settings of a sweep file. Maps without a given flag are absent. */
export function readFamilyFlags(options: Readonly<Record<string, unknown>>): {
  [setting: string]: unknown;
  train?: object;
} {
  const settings: Record<string, unknown> = {};
  for (const { key, path } of FLAGS) {
    if (!isGiven(options[key])) continue;
    const [setting, inner] = path;
    settings[setting] =
      inner === undefined
        ? options[key]
        : { ...(settings[setting] as object | undefined), [inner]: options[key] };
  }
  return settings;
}

/** commander sets a --no-… that is not given to true. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== true;
}

/** The first flag given for this setting or one inside it. */
export function findGivenFlag(
  setting: string,
  options: Readonly<Record<string, unknown>>,
): string | undefined {
  return FLAGS.find(({ key, path }) => path[0] === setting && isGiven(options[key]))?.long;
}
