/**
 * Decides what to run for a state directory, from the user's options, the environment, and what ran
 * before.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { OnProgress } from '../base/progress';
import { artifactRootId, readIfThere } from '../../common/files';
import { packageRoot } from '../../common/package';
import type { EmbeddedTemporal, RuntimeConfig } from './runtime-config';
import { findTemporalBinary } from './temporal-binary';
import { connectTo, externalTemporal } from './temporal-client';
import { planEmbeddedServer } from './temporal-server';
import { planTrainers, refuseUnusable, type TrainerOptions } from './trainer-plan';

export interface UpOptions extends TrainerOptions {
  /** The artifact root. */
  root: string;
  /** As in RuntimeConfig. */
  stopAfter?: number;
  /** Trainers elsewhere may all be away, as what runs already waits for them. */
  canWait?: boolean;
  onProgress: OnProgress;
}

/**
 * Sets up what is missing (server binary, trainer environment) and returns what to run. `last` is
 * what ran here before and is now dead.
 */
export async function planRuntime(
  options: UpOptions,
  last: RuntimeConfig | undefined,
): Promise<RuntimeConfig> {
  const { root, stateDir, onProgress } = options;
  refuseUnusable(options);
  // First, because it writes to the root: one that cannot be used must not cost minutes of set-up.
  const taskQueue = taskQueueFor(root);
  const temporal = externalTemporal() ?? (await planEmbedded(stateDir, last, onProgress));
  const trainers = await planTrainers(options, last, onProgress);
  return {
    format: 3,
    root,
    rootId: artifactRootId(root),
    build: buildStamp(),
    taskQueue,
    stopAfter: options.stopAfter ?? last?.stopAfter,
    temporal,
    ...trainers,
  };
}

async function planEmbedded(
  stateDir: string,
  last: RuntimeConfig | undefined,
  onProgress: OnProgress,
): Promise<EmbeddedTemporal> {
  const binary = await findTemporalBinary(onProgress);
  return planEmbeddedServer(
    stateDir,
    binary,
    last?.temporal.kind === 'embedded' ? last.temporal : undefined,
  );
}

/**
 * One queue per artifact root, because an activity must run where the files are. The trainer does
 * not count: a sweep whose trainer is gone for good continues with any other one on this root. If
 * several workers serve the root, each with a trainer of its own, the root's sweeps use them all.
 */
export function taskQueueFor(root: string): string {
  const digest = createHash('sha256').update(artifactRootId(root)).digest('hex');
  return `sa-orch-${digest.slice(0, 12)}`;
}

/** The stamp of the build that is on disk now. */
export function buildStamp(): string {
  return readIfThere(join(packageRoot(), 'dist', '.stamp')) ?? '';
}

/** Shows which server will be used before anything is sent to it, and that it answers. */
export async function announceTemporal(
  { temporal }: Pick<RuntimeConfig, 'temporal'>,
  onProgress: OnProgress,
): Promise<void> {
  if (temporal.kind === 'embedded') return;
  onProgress(
    '…',
    'Temporal',
    `${temporal.address}, namespace ${temporal.namespace} ` +
      '(set by the environment, not started here)',
  );
  const client = await connectTo(temporal, 10_000);
  await client.connection.close();
  onProgress('✓', 'Temporal', `${temporal.address}, namespace ${temporal.namespace}`);
}
