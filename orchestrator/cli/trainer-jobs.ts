/** The jobs of the trainers of a state directory, by their files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { isTrainerName } from '../runtime/runtime-config';
import { listFolders, type Needs } from '../store/needs';

const ENDED = ['JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_CANCELLED'];

/** Folders of the trainers that run here or once did. */
function listTrainerFolders(stateDir: string): string[] {
  const names = existsSync(stateDir) ? readdirSync(stateDir) : [];
  return names.filter(isTrainerName).map((name) => join(stateDir, name));
}

/** The lock of the trainer to whom a job's folder belongs, held by it while it lives. */
export const lockOfJob = (folder: string): string => join(dirname(dirname(folder)), 'lock');

/**
 * Folders of jobs that have ended and whose trials are all done or in no sweep; with `sweep`, only
 * jobs of its trials alone. A job without them would have to be watched again.
 */
export async function listEndedJobs(
  stateDir: string,
  needs: Needs,
  sweep: string | null,
): Promise<string[]> {
  const ofSweep = sweep === null ? null : needs.sweeps.get(sweep)!;
  const jobs: string[] = [];
  for (const trainer of listTrainerFolders(stateDir)) {
    const folder = join(trainer, 'jobs');
    jobs.push(...(await listFolders(folder)).map((name) => join(folder, name)));
  }
  return jobs.filter((path) => {
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
