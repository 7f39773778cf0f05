/** The jobs of the trainer of a state directory, by its files. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { listFolders, type Needs } from '../store/needs';

const ENDED = ['JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_CANCELLED'];

/** Held by the trainer while it lives. */
export const trainerLock = (stateDir: string): string => join(stateDir, 'trainer', 'lock');

/**
 * Folders of jobs that have ended and whose trials are all done or in no sweep; with `sweep`, only
 * jobs of its trials alone. A job without them would have to be watched again.
 */
export async function listEndedJobs(
  stateDir: string,
  needs: Needs,
  sweep: string | null,
): Promise<string[]> {
  const folder = join(stateDir, 'trainer', 'jobs');
  const ofSweep = sweep === null ? null : needs.sweeps.get(sweep)!;
  return (await listFolders(folder))
    .map((name) => join(folder, name))
    .filter((path) => {
      const trials = readEndedTrials(path);
      if (trials === undefined || trials.some((id) => needs.open.has(id))) return false;
      return ofSweep === null || trials.every((id) => ofSweep.has(id));
    });
}

/** The trials of a job that has ended; undefined for any other, and if its files are not whole. */
function readEndedTrials(folder: string): string[] | undefined {
  const [record, spec] = [join(folder, 'job.json'), join(folder, 'spec.pb')];
  if (!existsSync(record) || !existsSync(spec)) return undefined;
  try {
    const { job } = JSON.parse(readFileSync(record, 'utf8')) as { job: { state: string } };
    if (!ENDED.includes(job.state)) return undefined;
    return JobSpec.decode(readFileSync(spec)).trials.map(({ trialId }) => trialId);
  } catch {
    return undefined;
  }
}
