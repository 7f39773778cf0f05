/** The locks of a job's trials, which it holds while it works. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LockFile } from '../../common/lock-file';
import { removeLeftovers } from '../../common/temporary-names';
import { takeTrial } from '../../common/trial-lock';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { Interrupted, type JobContext } from './engine';
import { log } from './log';
import { trialFolder } from './trial-files';

/**
 * Runs `work` under the locks of a job's trials, after waiting for them and for room on the disk,
 * and removing what dead writers left in their folders.
 *
 * @throws Interrupted or Aborted if the job is to stop while it waits
 */
export async function holdTrials(
  { trials }: JobSpec,
  context: JobContext,
  work: () => Promise<void>,
): Promise<void> {
  const held: LockFile[] = [];
  try {
    // In one order everywhere, so that two jobs never wait for each other.
    for (const trialId of trials.map((trial) => trial.trialId).sort()) {
      const folder = trialFolder(context.root, trialId);
      held.push(
        await takeTrial(folder, trialId, {
          onWait: (note) => tell(context, note),
          breathe: () => breathe(context),
          write: (path, write) => context.writeWhenThereIsRoom(path, write),
          warn: (text) => log('WARNING', text),
        }),
      );
      for (const place of ['', 'checkpoints', ...listRungs(folder)])
        removeLeftovers(join(folder, place));
    }
    await work();
  } finally {
    for (const lock of held) lock.release();
  }
}

/** The folders of a trial's rungs, in its own. */
function listRungs(folder: string): string[] {
  const rungs = join(folder, 'rungs');
  const names = existsSync(rungs) ? readdirSync(rungs) : [];
  return names.filter((name) => name.startsWith('step-')).map((name) => `rungs/${name}`);
}

async function breathe(context: JobContext): Promise<void> {
  await context.breathe();
  if (context.checkpointAsked) throw new Interrupted('stopped while it waited for a trial');
}

function tell(context: JobContext, note: string): void {
  const value = { phase: Phase.PHASE_WAIT, done: 0, total: 0, rowsPerSecond: 0, trialSteps: [] };
  context.emit({ $case: 'progress', value: { ...value, note, resumed: 0 } });
}
