import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { downloadFileToCacheDir, fileDownloadInfo, getHFHubCachePath, getRepoFolderName } from '@huggingface/hub';
import { ConfigError } from '../config/errors';
import type { GlueTask } from './glue-tasks';
import type { Row } from './rows';

const REPO = { type: 'dataset', name: 'nyu-mll/glue' } as const;
const PROBE_TIMEOUT_MS = 5000;

/** The hub does not answer: there is no network, or it is switched off (HF_HUB_OFFLINE). */
export class HubUnreachable extends Error {}

/** Paths of a task's parquet files by split, in the per-user Hugging Face cache; fetched where they are not there. */
export async function fetchGlueParquet(task: GlueTask, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const split of task.splits) {
    const path = `${task.name}/${split.parquet}-00000-of-00001.parquet`;
    files[split.name] = cached(path) ?? (await download(path, env));
  }
  return files;
}

/** A file that an earlier run fetched: no network is asked. */
function cached(path: string): string | null {
  const snapshots = join(getHFHubCachePath(), getRepoFolderName(REPO), 'snapshots');
  const commits = existsSync(snapshots) ? readdirSync(snapshots).sort() : [];
  return commits.map((commit) => join(snapshots, commit, path)).find((file) => existsSync(file)) ?? null;
}

async function download(path: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (env.HF_HUB_OFFLINE && env.HF_HUB_OFFLINE !== '0') {
    throw new HubUnreachable('HF_HUB_OFFLINE is set');
  }
  // A probe with a time limit, since a network that swallows packets would hold the download for minutes.
  const probe: typeof fetch = (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  let found;
  try {
    found = await fileDownloadInfo({ repo: REPO, path, fetch: probe });
  } catch (error) {
    throw new HubUnreachable(`the hub does not answer (${(error as Error).message})`, { cause: error });
  }
  if (found === null) {
    throw new ConfigError({ where: `${REPO.name} on the hub`, message: `has no ${path}; give the rows with --data-dir` });
  }
  return downloadFileToCacheDir({ repo: REPO, path });
}

/** The rows of a parquet file of the hub's GLUE. */
export async function readGlueParquet(path: string, task: GlueTask): Promise<Row[]> {
  const { parquetReadObjects } = await import('hyparquet');
  let objects: Record<string, unknown>[];
  try {
    const file = readFileSync(path);
    objects = await parquetReadObjects({ file: file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) });
  } catch (error) {
    throw new ConfigError({ where: path, message: `is not a readable parquet file: ${(error as Error).message}` });
  }
  const [first, second] = task.hubText;
  return objects.map((row, i) => {
    const text = row[first];
    const pair = second === undefined ? null : row[second];
    const label = Number(row.label);
    if (typeof text !== 'string' || (pair !== null && typeof pair !== 'string') || Number.isNaN(label)) {
      const columns = [...task.hubText, 'label'].join(', ');
      throw new ConfigError({
        where: `${path}, row ${i + 1}`,
        message: `does not have the columns ${columns}; it has ${Object.keys(row).join(', ')}`,
      });
    }
    // The hub marks a row without a label by -1.
    return { text, pair, label: label === -1 && task.kind === 'classification' ? null : label };
  });
}
