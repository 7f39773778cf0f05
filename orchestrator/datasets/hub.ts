import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  downloadFileToCacheDir,
  fileDownloadInfo,
  getHFHubCachePath,
  getRepoFolderName,
} from '@huggingface/hub';
import { ConfigError } from '../base/errors';
import type { GlueTask } from '../tasks/rows/published';
import type { PublishedTask } from './published';
import type { Row } from './choose-rows';
import { shardsOf } from '../tables/shards';
import { squadExamples, type SquadExample, type SquadTask } from '../tasks/questions/squad-json';

const PROBE_TIMEOUT_MS = 5000;

/** The hub does not answer: there is no network, or it is switched off (HF_HUB_OFFLINE). */
export class HubUnreachable extends Error {}

/**
 * Paths of a task's parquet files by split (the first shard), in the per-user Hugging Face cache;
 * fetched where they are not there.
 */
export async function fetchParquet(
  { hub }: PublishedTask,
  env: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const repo: Repo = { type: 'dataset', name: hub.repo };
  const files: Record<string, string> = {};
  for (const [split, path] of Object.entries(hub.files)) {
    const shards = shardsOf(path);
    const there = cached(repo, shards);
    files[split] = there ?? (await download(repo, path, env));
    if (there === null) for (const shard of shards.slice(1)) await download(repo, shard, env);
  }
  return files;
}

interface Repo {
  type: 'dataset';
  name: string;
}

/**
 * The first shard of a file that an earlier run fetched, all of one commit: no network is asked.
 */
function cached(repo: Repo, [first, ...others]: readonly string[]): string | null {
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
  // A probe with a time limit, since a network that swallows packets would hold the download for
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

/** The rows of a parquet file of the hub's GLUE. */
export async function readGlueParquet(path: string, task: GlueTask): Promise<Row[]> {
  const objects = await readObjects(path);
  const [first, second] = task.hubText;
  return objects.map((row, i) => {
    const text = row[first];
    const pair = second === undefined ? null : row[second];
    const label = Number(row.label);
    if (
      typeof text !== 'string' ||
      (pair !== null && typeof pair !== 'string') ||
      Number.isNaN(label)
    ) {
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

/**
 * The questions of a parquet file of the hub's SQuAD, checked as those of its JSON. The hub's
 * answers are `{text, answer_start}`, a list each; a question of v2.0 without one has empty lists.
 */
export async function readSquadParquet(path: string, task: SquadTask): Promise<SquadExample[]> {
  const questions = (await readObjects(path)).map((row, i) => {
    const { id, question, context, answers } = row;
    const { text, answer_start: starts } = (answers ?? {}) as Record<string, unknown>;
    if (
      typeof context !== 'string' ||
      !Array.isArray(text) ||
      !Array.isArray(starts) ||
      text.length !== starts.length
    ) {
      const columns = 'id, context, question, answers {text, answer_start}';
      throw new ConfigError({
        where: `${path}, row ${i + 1}`,
        message: `does not have the columns ${columns}; it has ${Object.keys(row).join(', ')}`,
      });
    }
    const listed = text.map((each: unknown, k) => ({
      text: each,
      answer_start: starts[k] as unknown,
    }));
    return {
      context,
      qas: [
        {
          id,
          question,
          answers: listed,
          ...(task === 'squad_v2' ? { is_impossible: listed.length === 0 } : {}),
        },
      ],
    };
  });
  try {
    return squadExamples(path, { data: [{ paragraphs: questions }] }, task);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map(({ where, message }) => ({
        where: inRows(where),
        message: inRows(message),
      })),
    );
  }
}

/** Each row is a paragraph of one question. */
const inRows = (text: string) =>
  text.replace(
    /(: )?data\[0\]\.paragraphs\[(\d+)\](\.qas\[0\])?/g,
    (_, colon: string | undefined, i) => `${colon ? ', ' : ''}row ${Number(i) + 1}`,
  );

async function readObjects(path: string): Promise<Record<string, unknown>[]> {
  const { parquetReadObjects } = await import('hyparquet');
  try {
    const file = readFileSync(path);
    return await parquetReadObjects({
      file: file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength),
    });
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not a readable parquet file: ${(error as Error).message}`,
    });
  }
}
