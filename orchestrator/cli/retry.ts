/** `sa-orch retry`: runs failed trials of a sweep again, whether it runs or has ended. */
import { Command } from 'commander';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import { connectTemporal, isServerStopped } from '../runtime/temporal-client';
import { beganWith, readAsked } from '../store/asked';
import { readPlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { listLeaving } from './change-open';
import { findTarget } from './find-target';
import { isOpen, workflowState } from './follow';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { addLaunchOptions, launch, type LaunchOptions } from './start';
import { requestStored } from './stored-request';

interface RetryCommandOptions extends LaunchOptions {
  sweep?: string;
}

export function retryCommand(): Command {
  const command = new Command('retry')
    .description(
      'run the failed trials of a sweep again, or one trial that failed or was cancelled, in ' +
        'a sweep that runs or has ended',
    )
    .argument('<sweep|trial>', 'an id, or the beginning of one')
    .option('--sweep <sweep>', 'the sweep that is meant, of several that have the trial')
    .addHelpText('after', '\nExamples:\n  sa-orch retry glue-7f3a12cd\n  sa-orch retry t0123');
  return addLaunchOptions(command).action((word: string, options: RetryCommandOptions) =>
    runAction(options.json === true, () => retry(word, options)),
  );
}

async function retry(word: string, options: RetryCommandOptions): Promise<void> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  const target = await findTarget(word, options, (result) => result?.status !== 'done');
  const { sweepId, root, stateDir, trial } = target;
  const plan = await readPlan(root, sweepId);
  const results = await readResults(root, plan);
  const failed = results.filter(({ status }) => status === 'failed').length;
  const result = results.find(({ trial_id }) => trial_id === trial);
  const isToRun = trial !== null && result === undefined;
  if (isToRun && !(await isLeaving(stateDir, sweepId, trial)))
    throw new UserError(
      `${trial} has not failed in ${sweepId}: it is yet to run`,
      2,
      `The \`sa-orch ${await beganWith(root, sweepId)}\` that began the sweep runs what is left.`,
    );
  if (result?.status === 'stopped')
    throw new UserError(
      `${trial} has not failed in ${sweepId}: it was stopped early, behind other candidates`,
      2,
    );
  if (trial === null && failed === 0) {
    if (options.json) printJson({ sweep_id: sweepId, state: 'unchanged', failed });
    else onProgress('✓', `sweep ${sweepId}`, 'no trial of it has failed: nothing changes');
    return;
  }
  onProgress('·', 'again', trial ?? `${plural(failed, 'failed trial')} of ${sweepId}`);
  const request = requestStored(plan, await readAsked(root, sweepId));
  const which = trial === null ? { retryFailed: true } : { retry: [trial] };
  await launch(request, { ...options, root, stateDir, ...which });
}

/** Whether the trial was cancelled in a cohort that goes on without it. */
async function isLeaving(stateDir: string, sweepId: string, trial: string): Promise<boolean> {
  if (isServerStopped(stateDir)) return false;
  const client = await connectTemporal(stateDir);
  try {
    if (!isOpen((await workflowState(client, sweepId)).state)) return false;
    return (await listLeaving(client, sweepId)).includes(trial);
  } finally {
    await client.connection.close();
  }
}
