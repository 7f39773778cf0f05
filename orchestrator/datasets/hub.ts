import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  downloadFileToCacheDir,
  fileDownloadInfo,
  getHFHubCachePath,
  getRepoFolderName,
} from '@huggingface/hub';
import { ConfigError } from '../base/errors';
import { listShards } from '../tables/shards';
import type { PublishedTask } from './published';

const PROBE_TIMEOUT_MS = 5000;

/** The hub does not answer: there is no network, or HF_HUB_OFFLINE is set. */
export class HubUnreachable extends Error {}

/**
 * Returns the paths of a task's parquet files by split (the first shard), in the per-user Hugging
 * Face cache. Downloads them if they are not there.
 */
export async function fetchParquet(
  { hub }: PublishedTask,
  env: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const repo: Repo = { type: 'dataset', name: hub.repo };
  const files: Record<string, string> = {};
  for (const [split, path] of Object.entries(hub.files)) {
    const shards = listShards(path);
    const there = findCached(repo, shards);
    files[split] = there ?? (await download(repo, path, env));
    if (there === null) for (const shard of shards.slice(1)) await download(repo, shard, env);
  }
  return files;
}

interface Repo {
  type: 'dataset';
  name: string;
}

/** The first shard of a file that is cached with all shards of one commit; uses no network. */
function findCached(repo: Repo, [first, ...others]: readonly string[]): string | null {
  const snapshots = join(getHFHubCachePath(), getRepoFolderName(repo), 'snapshots');
  const commits = existsSync(snapshots) ? readdirSync(snapshots).sort() : [];
  const folder = commits
    .map((commit) => join(snapshots, commit))
    .find((each) => [first!, ...others].every((path) => existsSync(join(each, path))));
  return folder === undefined ? null : join(folder, first!);
}

async function download(repo: Repo, path: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (env.HF_HUB_OFFLINE && env.HF_HUB_OFFLINE !== '0') {
    throw new HubUnreachable('HF_HUB_OFFLINE is set');
  }
  // A probe with a time limit, because a network that drops packets would block the download for
  // minutes.
  const probe: typeof fetch = (input, init) =>
    fetch(input, { ...init, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  let found;
  try {
    found = await fileDownloadInfo({ repo, path, fetch: probe });
  } catch (error) {
    throw new HubUnreachable(`the hub does not answer (${(error as Error).message})`, {
      cause: error,
    });
  }
  if (found === null) {
    throw new ConfigError({
      where: `${repo.name} on the hub`,
      message: `has no ${path}; give the rows with --data-dir`,
    });
  }
  return downloadFileToCacheDir({ repo, path });
}
