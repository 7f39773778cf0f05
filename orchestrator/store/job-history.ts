/**
 * What happened to a sweep's jobs, for people who look back: `sweeps/<sweep id>/jobs/`, one file a
 * job. The trainer's own log is longer, and forgotten some time after the job's end.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { brokenFile, parseObject } from '../base/parse-object';
import { sweepDir } from './sweep-store';

export interface JobHistory {
  /** The sweep's cohort, what the job does, and for which trials. */
  cohort: string;
  work: string;
  trials: string[];
  events: JobEvent[];
}

export interface JobEvent {
  /** ISO 8601, by the trainer's clock. */
  time: string;
  /** The trial that it is about; null for the whole job. */
  trial: string | null;
  /** result: a trial's part of the job has ended as it should. */
  kind: 'state' | 'warning' | 'failure' | 'result';
  /** In words. */
  text: string;
}

const folderOf = (root: string, sweepId: string): string => join(sweepDir(root, sweepId), 'jobs');

/**
 * @param generation the job's generation, and `logId`: a job that started over has another history
 */
export function writeJobHistory(
  root: string,
  sweepId: string,
  { generation, logId }: { generation: string; logId: string },
  history: JobHistory,
): Promise<void> {
  const name = `${history.cohort}.${history.work}-${generation}.${logId}.json`;
  return writeJsonDurably(join(folderOf(root, sweepId), name), history);
}

/** The histories of a sweep's jobs, in no order. */
export async function readJobHistories(root: string, sweepId: string): Promise<JobHistory[]> {
  const folder = folderOf(root, sweepId);
  const histories: JobHistory[] = [];
  for (const name of await readdir(folder).catch(() => []))
    if (!name.startsWith('.') && name.endsWith('.json'))
      histories.push(await readHistory(join(folder, name)));
  return histories;
}

async function readHistory(path: string): Promise<JobHistory> {
  const history = parseObject<JobHistory>(path, await readFile(path, 'utf8'));
  if (!Array.isArray(history.events)) throw brokenFile(path, 'has no events');
  return history;
}
