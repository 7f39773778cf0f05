/** Ends one trial of a sweep that runs, which goes on without it. */
import { UserError } from '../base/errors';
import { quoteWord } from '../base/shell-quote';
import { connectTemporal } from '../runtime/temporal-client';
import { readPlan } from '../store/plan-store';
import { readResult } from '../store/sweep-store';
import { listUndecided } from '../sweep/search';
import { requestChange } from './change-open';
import type { FoundSweep } from './find-place';
import { isOpen, workflowState } from './follow';
import { printJson, printText } from './output';

/** @throws UserError (exit 2) if the trial or its sweep has ended */
export async function cancelTrial(
  { sweepId, root, stateDir, trial }: FoundSweep & { trial: string },
  json: boolean,
): Promise<void> {
  const result = await readResult(root, sweepId, trial);
  if (result !== null && result.status !== 'cancelled')
    throw new UserError(
      `${trial} has ended (${result.status}), so there is nothing to cancel`,
      2,
      `\`sa-orch report ${quoteWord(sweepId)}\` shows its sweep.`,
    );
  const isUndecided = listUndecided(await readPlan(root, sweepId)).includes(trial);
  const client = await connectTemporal(stateDir);
  try {
    const { state } = await workflowState(client, sweepId);
    const isAccepted =
      isOpen(state) && (await requestChange(client, sweepId, { kind: 'cancel', trials: [trial] }));
    if (!isAccepted) throw new UserError(`${sweepId}, which has ${trial}, is not running`, 2);
  } finally {
    await client.connection.close();
  }
  if (json) return printJson({ sweep_id: sweepId, trial_id: trial, state: 'cancelling' });
  printText(`${trial} is being cancelled; ${sweepId} goes on without it\n`);
  const again = `\`sa-orch retry ${trial}\` runs it again`;
  printText(
    isUndecided
      ? `  Its search makes no choice without it: ${again}; until then nothing of the search is ` +
          'compared.\n'
      : `  ${again}.\n`,
  );
}
