/** `sa-orch logs`: what happened to a sweep or a trial, and what a service wrote. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { UserError } from '../base/errors';
import { suggestion } from '../base/suggest';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { listFolders } from '../store/needs';
import { listSweeps } from '../store/sweep-store';
import { findAnywhere } from './find-place';
import { ambiguous, matchIds } from './find-id';
import type { Log } from './log';
import { readSweepLog, readTrialLog } from './job-lines';
import { addJsonOption, addPlaceOptions, parseInteger, type PlaceOptions } from './options';
import { printJson, runAction } from './output';
import { isServiceName, SERVICE_NAMES, ServiceLog } from './service-log';

interface LogsOptions extends PlaceOptions {
  lines: number;
  follow?: boolean;
  json?: boolean;
}

const POLL_MS = 500;

export function logsCommand(): Command {
  const command = new Command('logs')
    .description('show what happened to a sweep or a trial, or what a service wrote')
    .argument(
      '<name>',
      `id of a sweep or a trial, or the beginning of one; or ${SERVICE_NAMES.join(', ')}`,
    )
    .option('--lines <n>', 'show at most this many lines, the last ones', parseInteger, 50)
    .option('--follow', 'go on with what is new until Ctrl-C')
    .addHelpText(
      'after',
      '\nExamples:\n  sa-orch logs glue-7f3a12cd\n  sa-orch logs t0123 --lines 200\n' +
        '  sa-orch logs trainer --follow',
    );
  return addJsonOption(addPlaceOptions(command)).action((name: string, options: LogsOptions) =>
    runAction(options.json === true, () => logs(name, options)),
  );
}

async function logs(name: string, { lines, follow, json, ...places }: LogsOptions): Promise<void> {
  if (json && follow)
    throw new UserError('--follow never ends, so it cannot be one JSON document', 2);
  const found = isServiceName(name) ? undefined : await findAnywhere(name, places, listIds);
  const log = await openLog(
    found?.id ?? name,
    found?.root ?? artifactRoot(places.root),
    found?.stateDir ?? stateDirectory(places.stateDir),
  );
  const last = (await log.read()).slice(lines === 0 ? Infinity : -lines);
  if (json) return printJson({ ...log.about, lines: last });
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  log.heading.forEach(print);
  last.forEach(print);
  if (last.length === 0) process.stderr.write('nothing is written down yet\n');
  while (follow) {
    await sleep(POLL_MS);
    (await log.read()).forEach(print);
  }
}

const listIds = async (root: string): Promise<string[]> => [
  ...(await listSweeps(root)),
  ...(await listFolders(join(root, 'trials'))),
];

/** @throws UserError (exit 2) if the name is that of nothing, or of several things */
export async function openLog(name: string, root: string, stateDir: string): Promise<Log> {
  if (isServiceName(name)) return new ServiceLog(stateDir, name);
  const [sweeps, trials] = [await listSweeps(root), await listFolders(join(root, 'trials'))];
  const [id, ...others] = matchIds(name, [...sweeps, ...trials]);
  if (others.length > 0) throw ambiguous(name, [id!, ...others]);
  if (id !== undefined)
    return sweeps.includes(id) ? readSweepLog(root, id) : readTrialLog(root, id);
  const near = suggestion(name, [...SERVICE_NAMES, ...sweeps, ...trials]);
  throw new UserError(
    `no sweep, trial or service is named ${name}${near}`,
    2,
    `Services are ${SERVICE_NAMES.join(', ')}; \`sa-orch status\` lists the sweeps of ${root}.`,
  );
}
