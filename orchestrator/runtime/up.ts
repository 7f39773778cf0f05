/** Starts the services of a state directory and shows them. */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { UserError } from '../base/errors';
import { lockHolder, withLock } from '../../common/lock-file';
import type { TrainerSource } from '../trainer-client/registry';
import { announceExternal } from './announce-trainers';
import { down } from './down';
import { listTrainers } from './listed-trainers';
import { openLog } from './log-file';
import { packageRoot } from '../../common/package';
import { isAlive, signalProcess } from '../../common/process-identity';
import { rememberPlace } from './known-places';
import { refuseOtherHost } from './other-host';
import { listAdded, refuseOtherWishes } from './other-wishes';
import { describeReplacedRoot } from './replaced-root';
import {
  listSources,
  readRuntimeConfig,
  writeRuntimeConfig,
  type RuntimeConfig,
} from './runtime-config';
import { announceTemporal, buildStamp, planRuntime, type UpOptions } from './runtime-plan';
import { logPath, readSupervisorState, supervisorLockPath } from './supervisor-state';
import { othersStart } from './starts';
import { NotYetReady, waitUntilReady } from './wait-until-ready';

export interface Runtime {
  stateDir: string;
  /** Whether this call started the services; others ran before it. */
  isOurs: boolean;
  /**
   * Stops the services and forgets their settings, if this call started them and they are not used
   * by then: by another start, or by what `isUsed` finds.
   */
  undo: (isUsed: () => Promise<boolean>) => Promise<void>;
  root: string;
  taskQueue: string;
  /** As in RuntimeConfig. */
  hasOldWorker: boolean;
  /** The worker is of another build than this command. */
  isOtherBuild: boolean;
  temporal: { address: string; namespace: string; ui: string | null };
  /** Never empty. */
  trainers: TrainerSource[];
}

/**
 * Starts what is not running (server, trainer, worker, and the supervisor that keeps them alive)
 * and waits until everything works, or, of several trainers, one. Running services are left alone,
 * or adopted if their supervisor has died.
 *
 * @throws UserError (exit 2) if services with other settings are running, or run on another host;
 *   (exit 3) if something is unavailable or does not start, with the last lines of its log
 */
export async function ensureUp(options: UpOptions): Promise<Runtime> {
  const { stateDir, onProgress } = options;
  makeFolder(stateDir);
  const onWait = ({ pid }: { pid: number }): void =>
    onProgress('…', 'services', `process ${pid} is starting them`);
  let isOurs = false;
  let last: RuntimeConfig | undefined;
  const lock = join(stateDir, 'up.lock');
  const config = await withLock(lock, onWait, async () => {
    refuseOtherHost(stateDir);
    last = readRuntimeConfig(stateDir);
    const running = last !== undefined && isAnythingAlive(stateDir) ? last : undefined;
    if (running) {
      refuseOtherWishes(running, options);
      refuseReplacedRoot(running);
    }
    isOurs = running === undefined;
    const added = running ? listAdded(running, options) : [];
    const wanted = running
      ? { ...running, external: [...running.external, ...added] }
      : await planRuntime(options, last);
    // What runs elsewhere is asked before anything is started here.
    await announceTemporal(wanted, onProgress);
    const isServed = await announceExternal(wanted, added, options);
    if (!running || added.length > 0) writeRuntimeConfig(stateDir, wanted);
    listTrainers(stateDir, wanted);
    rememberPlace({ folder: process.cwd(), root: wanted.root, stateDir });
    const supervisor = lockHolder(supervisorLockPath(stateDir));
    if (supervisor) signalProcess(supervisor, 'SIGHUP');
    else startSupervisor(stateDir);
    try {
      await waitUntilReady(stateDir, wanted, isServed, onProgress);
    } catch (error) {
      if (isOurs && !(error instanceof NotYetReady)) await undo(stateDir, last);
      throw error;
    }
    return wanted;
  });
  const isOtherBuild = config.build !== buildStamp();
  if (isOtherBuild)
    onProgress(
      '!',
      'worker',
      'runs an older build; to replace it, run `sa-orch down` and start again',
    );
  const { temporal } = config;
  const ui = temporal.kind === 'embedded' ? `http://127.0.0.1:${temporal.uiPort}` : null;
  return {
    stateDir,
    isOurs,
    undo: async (isUsed) => {
      if (!isOurs) return;
      await withLock(lock, onWait, async () => {
        if (!othersStart(stateDir) && !(await isUsed())) await undo(stateDir, last);
      });
    },
    root: config.root,
    hasOldWorker: config.hasOldWorker === true,
    isOtherBuild,
    taskQueue: config.taskQueue,
    temporal: { address: temporal.address, namespace: temporal.namespace, ui },
    trainers: listSources(config),
  };
}

function refuseReplacedRoot(running: RuntimeConfig): void {
  const replaced = describeReplacedRoot(running);
  if (replaced !== undefined) throw new UserError(replaced.what, 2, replaced.wayOut);
}

function isAnythingAlive(stateDir: string): boolean {
  if (lockHolder(supervisorLockPath(stateDir))) return true;
  return (readSupervisorState(stateDir)?.services ?? []).some((service) =>
    isAlive(service.process),
  );
}

let supervisorSpawned = false;

/** Whether this process has started a supervisor, which may not hold its lock yet. */
export const hasSpawnedSupervisor = (): boolean => supervisorSpawned;

function startSupervisor(stateDir: string): void {
  const { descriptor } = openLog(logPath(stateDir, 'supervisor'));
  const main = join(packageRoot(), 'dist', 'orchestrator', 'runtime', 'supervisor-main.js');
  const child = spawn(process.execPath, ['--enable-source-maps', main, stateDir], {
    detached: true,
    stdio: ['ignore', descriptor, descriptor],
  });
  supervisorSpawned = true;
  child.unref();
  closeSync(descriptor);
}

/**
 * Stops what a failed start has started, and forgets its settings: the same command without the
 * one that was wrong must work.
 */
async function undo(stateDir: string, last: RuntimeConfig | undefined): Promise<void> {
  const noSweep = () => Promise.resolve([]);
  await down({ stateDir, beforeStop: noSweep, onProgress: () => undefined });
  if (last !== undefined) writeRuntimeConfig(stateDir, last);
}
