/** `sa-orch down`: stops the services. */
import { Command } from 'commander';
import { down } from '../runtime/down';
import { stateDirectory } from '../runtime/paths';
import { connectTemporal } from '../runtime/temporal-client';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';

const ASK_MS = 5000;

export function downCommand(): Command {
  const command = new Command('down')
    .description('stop Temporal server, trainer and worker; refused while sweeps are running')
    .option(
      '--force',
      'stop even if sweeps are running; the next start resumes them from their checkpoints',
    )
    .addHelpText('after', '\nExample:\n  sa-orch down');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { force?: boolean; json?: boolean }) =>
      runAction(options.json === true, async () => {
        const stateDir = stateDirectory(options.stateDir);
        const stopped = await down({
          stateDir,
          force: options.force === true,
          runningSweeps: () => runningSweeps(stateDir),
          onProgress: options.json ? progressLineOnStderr : progressLine,
        });
        if (options.json) printJson({ stopped });
        else if (stopped.length === 0) process.stdout.write(`nothing is running in ${stateDir}\n`);
      }),
  );
}

/**
 * Ids of sweeps that are open on the server. A server that does not answer is running none; the
 * sweeps it has stored resume at the next start.
 */
export async function runningSweeps(stateDir: string): Promise<string[]> {
  const client = await connectTemporal(stateDir, ASK_MS).catch(() => undefined);
  if (client === undefined) return [];
  try {
    return await client.withDeadline(Date.now() + ASK_MS, async () => {
      const ids: string[] = [];
      for await (const { workflowId } of client.workflow.list({
        query: "WorkflowType = 'sweep' AND ExecutionStatus = 'Running'",
      }))
        ids.push(workflowId);
      return ids;
    });
  } finally {
    await client.connection.close();
  }
}
