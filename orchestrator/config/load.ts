import type { z } from 'zod';
import { checkCompare } from './check-compare';
import { checkFamilySettings } from './check-family-settings';
import { checkSearch } from './check-search';
import { ConfigError, type Problem } from '../base/errors';
import { findTasks } from './find-tasks';
import { DEFAULT_COMPARE } from './defaults';
import { addSettings, isWritten, liftRungs, mergeSettings } from './merge-settings';
import { describeIssues, type DocumentProblem } from './problems';
import { readYaml } from './read-yaml';
import { completeConfig, completeSearch } from './resolve';
import {
  documentSchema,
  settingsSchema,
  type SweepDocument,
  type SweepSettings,
  type SweepSettingsInput,
} from './schema';
import { suggestion } from '../base/suggest';
import type { Extension } from '../sweep/types';
import { readText } from '../tables/text';
import type { SweepConfig } from './sweep-config';
import { findSweepFile, nameAfter } from './sweep-file';
import { ownTaskNames } from './task-schema';

export interface LoadOptions {
  /** The profile to merge over the file's settings. */
  profile?: string | null;
  /** Settings from a command's flags, merged over both. */
  overrides?: SweepSettingsInput;
  /** What was added to the sweep after it was started, in this order. */
  extensions?: readonly Extension[];
}

/**
 * Reads a sweep file, merges the profile and then the overrides over it and fills in the defaults.
 *
 * @param nameOrFile the name of a file in `configs/sweeps` (without `.yaml`), or a path
 * @throws ConfigError with every problem found, each with file and line
 */
export function loadSweepConfig(nameOrFile: string, options: LoadOptions = {}): SweepConfig {
  const file = findSweepFile(nameOrFile);
  return loadSweepText(file, readText(file), options);
}

/** The same for a text that a file has, or had. */
export function loadSweepText(file: string, text: string, options: LoadOptions = {}): SweepConfig {
  const { content, locate } = readYaml(file, text);
  const document = check(documentSchema(ownTaskNames(content)), content, (problem) => ({
    where: locate(problem.path),
    message: problem.message,
  }));
  const name = document.name ?? nameAfter(file);
  return buildConfig(name, file, document, options, locate);
}

/** Builds a sweep from a command's flags instead of a file, with the same checks and defaults. */
export function sweepConfigFrom(
  name: string,
  settings: SweepSettingsInput,
  extensions: readonly Extension[] = [],
): SweepConfig {
  return buildConfig(name, null, {}, { overrides: settings, extensions }, () => name);
}

function buildConfig(
  name: string,
  file: string | null,
  document: SweepDocument,
  { profile = null, overrides = {}, extensions = [] }: LoadOptions,
  whereIs: (path: readonly PropertyKey[]) => string,
): SweepConfig {
  const where = file ?? name;
  const { profiles = {} } = document;
  let settings: SweepSettings = document;
  let [comparePath, tasksPath] = [['compare'], ['tasks']];
  if (profile !== null) {
    const chosen = Object.hasOwn(profiles, profile) ? profiles[profile] : undefined;
    if (chosen === undefined) {
      const names = Object.keys(profiles);
      const known =
        names.length === 0
          ? 'the file has no profiles'
          : `must be one of ${names.join(', ')}${suggestion(profile, names)}`;
      throw new ConfigError({ where, message: `there is no profile "${profile}"; ${known}` });
    }
    settings = mergeSettings(settings, chosen);
    if (chosen.compare !== undefined) comparePath = ['profiles', profile, 'compare'];
    if (chosen.tasks !== undefined) tasksPath = ['profiles', profile, 'tasks'];
  }
  const given = Object.fromEntries(
    Object.entries(overrides).filter(([, value]) => value !== undefined),
  );
  const checkTyped = (typed: unknown): SweepSettings =>
    check(settingsSchema(ownTaskNames(document), settings.compat ?? 'none'), typed, (problem) => ({
      where: 'command line',
      message: problem.message,
    }));
  const over = checkTyped(given);
  const inFile = settings.tasks ?? [];
  settings = mergeSettings(settings, over);
  // The command line only names tasks: their settings are those that the file has for them.
  settings.tasks = settings.tasks?.map(
    (task) => inFile.find((each) => !('kind' in each) && each.name === task.name) ?? task,
  );
  const lines = settings.compare?.length ?? DEFAULT_COMPARE.length;
  for (const { rungs, ...added } of extensions) {
    settings = addSettings(settings, checkTyped(added));
    if (rungs === 'off') settings = liftRungs(settings);
  }
  if (settings.tasks === undefined) {
    throw new ConfigError({
      where,
      message: 'tasks: is missing; must be a list of task names, for example [mrpc, rte]',
    });
  }
  rejectRepeatedTasks(where, settings.tasks);
  const nameOrigin = (line: number) =>
    over.compare === undefined && line < lines ? whereIs([...comparePath, line]) : 'command line';
  const { tasks: written } = settings;
  const described = document.tasks ?? [];
  const tasks = findTasks(written, described, file, (task) =>
    whereIs(
      described.includes(task)
        ? ['tasks', described.indexOf(task)]
        : [...tasksPath, written.indexOf(task)],
    ),
  );
  const whereWritten = (path: readonly PropertyKey[]) => {
    const [of, task, ...key] = path;
    const place = of === 'tasks' ? inFile.indexOf(written[Number(task)]!) : -1;
    if (place >= 0) return whereIs([...tasksPath, place, ...key]);
    if (isWritten(over, path)) return 'command line';
    return whereIs(
      profile !== null && isWritten(profiles[profile], path)
        ? ['profiles', profile, ...path]
        : path,
    );
  };
  const search = completeSearch(settings.search);
  const ofSearch = checkSearch(settings, tasks, search, whereWritten);
  if (ofSearch.length > 0) throw new ConfigError(ofSearch);
  const all = { ...settings, tasks, search };
  const config = completeConfig(name, file, all, profile, profiles, nameOrigin);
  const found = [
    ...checkCompare(config.compare),
    ...checkFamilySettings(settings, tasks, config, whereWritten),
  ];
  if (found.length > 0) throw new ConfigError(found);
  return config;
}

function rejectRepeatedTasks(where: string, tasks: NonNullable<SweepSettings['tasks']>): void {
  const names = tasks.map((task) => task.name);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new ConfigError({
      where,
      message: `tasks: ${repeated} is listed twice; list each task once`,
    });
  }
}

function check<T extends z.ZodType>(
  schema: T,
  value: unknown,
  toProblem: (problem: DocumentProblem) => Problem,
): z.output<T> {
  const result = schema.safeParse(value);
  if (!result.success) {
    throw new ConfigError(describeIssues(result.error.issues, value).map(toProblem));
  }
  return result.data;
}
