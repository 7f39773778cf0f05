/** `sa-orch down`: stops the services. */
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import { quoteWord } from '../base/shell-quote';
import { down } from '../runtime/down';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { connectTemporal } from '../runtime/temporal-client';
import { describeOtherFolders } from './other-folders';
import { workflowState } from './follow';
import { listOpenSweeps } from './open-sweeps';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, printText, progressLine, progressLineOnStderr, runAction } from './output';
import { terminateSweep } from './terminate-cohorts';

const ASK_MS = 5000;

export function downCommand(): Command {
  const command = new Command('down')
    .description(
      'stop Temporal server, trainer and worker; refused while sweeps are running, unless all of ' +
        'them are paused',
    )
    .option(
      '--force',
      'stop even if sweeps are running; the next start resumes them from their checkpoints',
    )
    .addHelpText('after', '\nExample:\n  sa-orch down');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { force?: boolean; json?: boolean }) =>
      runAction(options.json === true, async () => {
        const stateDir = stateDirectory(options.stateDir);
        const onProgress = options.json ? progressLineOnStderr : progressLine;
        const stopped = await down({
          stateDir,
          beforeStop: async () => {
            const { paused, ended } = await settleOpenSweeps(stateDir, options.force === true);
            for (const id of ended) onProgress('!', id, 'ended: its files were removed');
            for (const id of paused)
              onProgress('…', id, `stays paused; ${howToGoOn(stateDir, id)}`);
            return paused;
          },
          onProgress,
        });
        if (options.json) printJson({ stopped });
        else if (stopped.length === 0)
          printText(`nothing is running in ${stateDir}${describeOtherFolders(stateDir)}\n`);
      }),
  );
}

/** The root is named where another one would be taken without it. */
function howToGoOn(stateDir: string, id: string): string {
  const root = readRuntimeConfig(stateDir)?.root ?? artifactRoot();
  const place = root === artifactRoot() ? '' : ` --root ${quoteWord(root)}`;
  const [up, resume] = [`sa-orch up${place}`, `sa-orch resume ${quoteWord(id)}${place}`];
  return `\`${up}\` and then \`${resume}\` continue it`;
}

/**
 * Refuses if sweeps are running, unless forced; ends those whose files were removed, which no list
 * of sweeps shows and nothing can continue. A server that does not answer is running none; the
 * sweeps that it has stored resume at the next start.
 *
 * @throws UserError (exit 2) that names the running ones
 */
async function settleOpenSweeps(
  stateDir: string,
  force: boolean,
): Promise<{ paused: string[]; ended: string[] }> {
  const client = await connectTemporal(stateDir, ASK_MS).catch(() => undefined);
  if (client === undefined) return { paused: [], ended: [] };
  try {
    const { paused, running, lost } = await sortOpenSweeps(client, stateDir);
    if (running.length > 0 && !force) throw refuse(running);
    for (const id of lost) await terminateSweep(client, id, 'its files were removed');
    return { paused, ended: lost };
  } finally {
    await client.connection.close();
  }
}

async function sortOpenSweeps(client: Client, stateDir: string) {
  const paused: string[] = [];
  const running: string[] = [];
  const lost: string[] = [];
  for (const { sweepId, isLost } of await listOpenSweeps(client, stateDir)) {
    if (isLost) lost.push(sweepId);
    else if ((await workflowState(client, sweepId)).state === 'paused') paused.push(sweepId);
    else running.push(sweepId);
  }
  return { paused, running, lost };
}

/** Whether sweeps are running that need the services; a paused one waits for `resume`. */
export async function areSweepsRunning(client: Client, stateDir: string): Promise<boolean> {
  return (await sortOpenSweeps(client, stateDir)).running.length > 0;
}

function refuse(ids: readonly string[]): UserError {
  const how = `${plural(ids.length, 'sweep')} ${ids.length === 1 ? 'is' : 'are'} running`;
  return new UserError(
    `${how}: ${ids.join(', ')}`,
    2,
    `Wait for them, pause them (\`sa-orch pause ${quoteWord(ids[0]!)}\`), cancel them, or use ` +
      '--force: the next start resumes them from their checkpoints.',
  );
}
