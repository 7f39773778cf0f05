/** A sweep's configuration, from what is asked for or was. */
import type { Asked, Extension } from '../sweep/types';
import { readText } from '../tables/text';
import { loadSweepText, sweepConfigFrom } from './load';
import { readYaml } from './read-yaml';
import type { SweepConfig } from './sweep-config';
import { findSweepFile, nameAfter } from './sweep-file';

/**
 * What a user asks for with a sweep file and a command's flags.
 *
 * @param nameOrFile as in loadSweepConfig
 * @throws ConfigError if there is no such file, or it cannot be read
 */
export function askForFile(
  nameOrFile: string,
  profile: string | null,
  settings: Asked['settings'],
): Asked {
  const path = findSweepFile(nameOrFile);
  const file = { path, text: readText(path) };
  return { format: 1, name: nameAfter(path), file, profile, settings };
}

/** @throws ConfigError with every problem found, each with file and line */
export function configFromAsked(
  { name, file, profile, settings }: Asked,
  extensions: readonly Extension[] = [],
): SweepConfig {
  return file === null
    ? sweepConfigFrom(name, settings, extensions)
    : loadSweepText(file.path, file.text, { profile, overrides: settings, extensions });
}

/** The lines of compare of the file that was asked for, as they are written. */
export function listWrittenLines({ file, profile }: Asked): object[] {
  if (file === null) return [];
  const { content } = readYaml(file.path, file.text);
  const { compare, profiles = {} } = content as Written;
  const written = (profile === null ? undefined : profiles[profile]?.compare) ?? compare ?? [];
  return [written].flat();
}

/** Of a file that has passed the schema. */
interface Written {
  compare?: object | object[];
  profiles?: Record<string, { compare?: object | object[] }>;
}
