/** Starts the services of a state directory and shows them. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { lockHolder, withLock } from '../../common/lock-file';
import { down } from './down';
import { openLog, tailLog } from './log-file';
import { packageRoot } from '../../common/package';
import { isAlive, signalProcess } from '../../common/process-identity';
import { rememberPlace } from './known-places';
import { refuseOtherHost } from './other-host';
import { describeReplacedRoot } from './replaced-root';
import {
  readRuntimeConfig,
  writeRuntimeConfig,
  type ExternalTrainer,
  type RuntimeConfig,
} from './runtime-config';
import {
  announceTemporal,
  buildStamp,
  planRuntime,
  refuseOtherWishes,
  type UpOptions,
} from './runtime-plan';
import { servicesFor } from './services';
import {
  logPath,
  readSupervisorState,
  supervisorLockPath,
  type ServiceName,
  type ServiceRecord,
} from './supervisor-state';
import { othersStart } from './starts';
import { askCapabilities, describeDevices } from './trainer-health';

/** Loading PyTorch from a cold disk takes a minute or more. */
const READY_TIMEOUT_MS = 240_000;

/**
 * Waiting does not help a service that died this often before it was ever ready; the supervisor
 * keeps trying meanwhile.
 */
const DEATHS_SHOWN = 3;

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
  temporal: { address: string; namespace: string; ui: string | null };
  trainer: Pick<ExternalTrainer, 'address' | 'tls'>;
}

/**
 * Starts what is not running (server, trainer, worker, and the supervisor that keeps them alive)
 * and waits until everything works. Running services are left alone, or adopted if their supervisor
 * has died.
 *
 * @throws UserError (exit 2) if services with other settings are running, or run on another host;
 *   (exit 3) if something is unavailable or does not start, with the last lines of its log
 */
export async function ensureUp(options: UpOptions): Promise<Runtime> {
  const { stateDir, onProgress } = options;
  mkdirSync(stateDir, { recursive: true });
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
    const wanted = running ?? (await planRuntime(options, last));
    // What runs elsewhere is asked before anything is started here.
    await announceTemporal(wanted, onProgress);
    if (wanted.trainer.kind === 'external') await showTrainer(wanted, onProgress);
    if (!running) writeRuntimeConfig(stateDir, wanted);
    rememberPlace({ folder: process.cwd(), root: wanted.root, stateDir });
    const supervisor = lockHolder(supervisorLockPath(stateDir));
    if (supervisor) signalProcess(supervisor, 'SIGHUP');
    else startSupervisor(stateDir);
    try {
      await waitUntilReady(stateDir, wanted, onProgress);
    } catch (error) {
      if (isOurs && !(error instanceof NotYetReady)) await undo(stateDir, last);
      throw error;
    }
    return wanted;
  });
  if (config.build !== buildStamp())
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
    taskQueue: config.taskQueue,
    temporal: { address: temporal.address, namespace: temporal.namespace, ui },
    trainer:
      config.trainer.kind === 'external'
        ? { address: config.trainer.address, tls: config.trainer.tls }
        : { address: config.trainer.address },
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

async function waitUntilReady(
  stateDir: string,
  config: RuntimeConfig,
  onProgress: OnProgress,
): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const waiting = new Set<ServiceName>(servicesFor(stateDir, config).map(({ name }) => name));
  while (waiting.size > 0) {
    const supervisor = lockHolder(supervisorLockPath(stateDir));
    const state = readSupervisorState(stateDir);
    const records = supervisor && state?.supervisor.pid === supervisor.pid ? state.services : [];
    for (const record of records.filter(({ name }) => waiting.has(name))) {
      if (record.state === 'ready') {
        waiting.delete(record.name);
        await showReady(record.name, stateDir, config, onProgress);
      } else if (record.state === 'failed' || record.deaths >= DEATHS_SHOWN || isRefusal(record))
        throw keepsDying(record);
      else if (Date.now() > deadline)
        throw new NotYetReady(
          `the ${record.name} is not ready after ${READY_TIMEOUT_MS / 1000} s` + showTail(record),
          3,
          'It may need more time: repeat the command, or stop everything with `sa-orch down`.\n' +
            `The whole log: ${record.log}`,
        );
    }
    if (records.length === 0 && Date.now() > deadline) {
      const log = logPath(stateDir, 'supervisor');
      throw new UserError(
        `the supervisor did not start:\n  ${tailLog(log, 10).join('\n  ')}`,
        3,
        `The whole log: ${log}`,
      );
    }
    if (waiting.size > 0) await sleep(100);
  }
}

/** A service that still lives, so that waiting may help. */
class NotYetReady extends UserError {}

/** A trainer's own word for settings that it cannot serve, such as a device that is not there. */
function isRefusal({ name, deaths, lastExit }: ServiceRecord): boolean {
  return name === 'trainer' && deaths > 0 && lastExit === 'exit status 2';
}

function keepsDying(record: ServiceRecord): UserError {
  const { name, lastExit, log } = record;
  const how = lastExit ? ` (last: ${lastExit})` : '';
  const what = isRefusal(record) ? 'refuses these settings' : `keeps dying${how}`;
  return new UserError(
    `the ${name} ${what}${showTail(record)}`,
    isRefusal(record) ? 2 : 3,
    `The whole log: ${log}`,
  );
}

function showTail({ log, logOffset }: ServiceRecord): string {
  const tail = tailLog(log, 12, logOffset);
  return tail.length > 0 ? `:\n  ${tail.join('\n  ')}` : '';
}

/**
 * Stops what a failed start has started, and forgets its settings: the same command without the
 * one that was wrong must work.
 */
async function undo(stateDir: string, last: RuntimeConfig | undefined): Promise<void> {
  const noSweep = () => Promise.resolve();
  await down({ stateDir, beforeStop: noSweep, onProgress: () => undefined });
  if (last !== undefined) writeRuntimeConfig(stateDir, last);
}

async function showReady(
  name: ServiceName,
  stateDir: string,
  config: RuntimeConfig,
  onProgress: OnProgress,
): Promise<void> {
  if (name === 'temporal' && config.temporal.kind === 'embedded') {
    const { version, address, uiPort } = config.temporal;
    const path = relative(process.cwd(), stateDir);
    const place = path.startsWith('..') ? stateDir : path;
    onProgress(
      '✓',
      `Temporal ${version}`,
      `${address}, UI http://127.0.0.1:${uiPort}, data in ${place}/`,
    );
  } else if (name === 'trainer') await showTrainer(config, onProgress);
  else onProgress('✓', 'worker', `task queue ${config.taskQueue}`);
}

async function showTrainer({ trainer }: RuntimeConfig, onProgress: OnProgress): Promise<void> {
  const capabilities = await askCapabilities(trainer, 15_000);
  const { framework, frameworkVersion } = capabilities;
  onProgress('✓', `trainer ${framework} ${frameworkVersion}`, describeDevices(capabilities));
}
