/** Waits for services that were just started, and shows each as it becomes ready. */
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { lockHolder } from '../../common/lock-file';
import { showTrainer } from './announce-trainers';
import { tailLog } from './log-file';
import { isTrainerName, type RuntimeConfig } from './runtime-config';
import { servicesFor } from './services';
import {
  logPath,
  nameService,
  readSupervisorState,
  supervisorLockPath,
  type ServiceName,
  type ServiceRecord,
} from './supervisor-state';

/** Loading PyTorch from a cold disk takes a minute or more. */
const READY_TIMEOUT_MS = 240_000;

/** Trainers that are started together are ready within seconds of each other. */
const OTHERS_TIMEOUT_MS = 20_000;

/**
 * Waiting does not help a service that died this often before it was ever ready; the supervisor
 * keeps trying meanwhile.
 */
const DEATHS_SHOWN = 3;

/** A service that still lives, so that waiting may help. */
export class NotYetReady extends UserError {}

/**
 * Waits until all services are ready. Of several trainers one is enough: those that do not work
 * are named, and the others waited for a little longer.
 *
 * @param isServed whether a trainer that is not started here works
 * @throws UserError (exit 2 or 3) for a service that does not start, with the end of its log
 */
export async function waitUntilReady(
  stateDir: string,
  config: RuntimeConfig,
  isServed: boolean,
  onProgress: OnProgress,
): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const waiting = new Set<ServiceName>(servicesFor(stateDir, config).map(({ name }) => name));
  const broken = new Map<ServiceName, ServiceRecord>();
  let works = isServed;
  let enoughSince: number | undefined;
  while (waiting.size > 0) {
    const records = readRecords(stateDir);
    for (const record of records.filter(({ name }) => waiting.has(name))) {
      if (record.state === 'ready') {
        waiting.delete(record.name);
        works ||= isTrainerName(record.name);
        await showReady(record.name, stateDir, config, onProgress);
      } else if (isBroken(record)) {
        if (!isTrainerName(record.name)) throw keepsDying(record);
        waiting.delete(record.name);
        broken.set(record.name, record);
      } else if (Date.now() > deadline) throw notReadyYet(record);
    }
    const left = [...waiting];
    if (!works && !left.some(isTrainerName) && broken.size > 0)
      throw keepsDying([...broken.values()][0]!);
    if (works && left.length > 0 && left.every(isTrainerName)) {
      enoughSince ??= Date.now();
      if (Date.now() - enoughSince > OTHERS_TIMEOUT_MS) break;
    }
    if (records.length === 0 && Date.now() > deadline) throw noSupervisor(stateDir);
    if (waiting.size > 0) await sleep(100);
  }
  for (const [name, record] of broken) onProgress('!', name, keepsDying(record).message);
  for (const name of waiting)
    onProgress('!', name, 'not ready yet; it gets work once it is, `sa-orch status` shows it');
}

/** What the supervisor that lives now knows of its services. */
function readRecords(stateDir: string): ServiceRecord[] {
  const supervisor = lockHolder(supervisorLockPath(stateDir));
  const state = readSupervisorState(stateDir);
  return supervisor && state?.supervisor.pid === supervisor.pid ? state.services : [];
}

const isBroken = (record: ServiceRecord): boolean =>
  record.state === 'failed' || record.deaths >= DEATHS_SHOWN || isRefusal(record);

/** A trainer's own word for settings that it cannot serve, such as a device that is not there. */
function isRefusal({ name, deaths, lastExit }: ServiceRecord): boolean {
  return isTrainerName(name) && deaths > 0 && lastExit === 'exit status 2';
}

function keepsDying(record: ServiceRecord): UserError {
  const { name, lastExit, log } = record;
  const how = lastExit ? ` (last: ${lastExit})` : '';
  const what = isRefusal(record) ? 'refuses these settings' : `keeps dying${how}`;
  return new UserError(
    `${nameService(name)} ${what}${showTail(record)}`,
    isRefusal(record) ? 2 : 3,
    `The whole log: ${log}`,
  );
}

function notReadyYet(record: ServiceRecord): NotYetReady {
  return new NotYetReady(
    `${nameService(record.name)} is not ready after ${READY_TIMEOUT_MS / 1000} s` +
      showTail(record),
    3,
    'It may need more time: repeat the command, or stop everything with `sa-orch down`.\n' +
      `The whole log: ${record.log}`,
  );
}

function noSupervisor(stateDir: string): UserError {
  const log = logPath(stateDir, 'supervisor');
  return new UserError(
    `the supervisor did not start:\n  ${tailLog(log, 10).join('\n  ')}`,
    3,
    `The whole log: ${log}`,
  );
}

function showTail({ log, logOffset }: ServiceRecord): string {
  const tail = tailLog(log, 12, logOffset);
  return tail.length > 0 ? `:\n  ${tail.join('\n  ')}` : '';
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
  } else if (name === 'worker') onProgress('✓', 'worker', `task queue ${config.taskQueue}`);
  else await showLocal(name, config, onProgress);
}

async function showLocal(
  name: ServiceName,
  { local }: RuntimeConfig,
  onProgress: OnProgress,
): Promise<void> {
  const list = local?.list ?? [];
  const trainer = list.find((each) => each.name === name)!;
  const { address, visibleGpus } = trainer;
  const gpu = list.length > 1 && visibleGpus ? `, GPU ${visibleGpus}` : '';
  await showTrainer({ name, address }, gpu, onProgress);
}
