/** The services of a state directory: the process of each, and how to check that it works. */
import { join } from 'node:path';
import { askCapabilities } from './trainer-health';
import { readLog } from './log-file';
import { packageRoot } from '../../common/package';
import { firstAddress } from '../trainer-client/sources';
import {
  listSources,
  type EmbeddedTemporal,
  type LocalTrainer,
  type LocalTrainers,
  type RuntimeConfig,
} from './runtime-config';
import type { ServiceName, ServiceRecord } from './supervisor-state';
import { trainerArguments, type TrainerCommand } from './trainer-command';
import {
  completeServerStart,
  isServerHealthy,
  removeIncompleteDatabase,
  serverArguments,
} from './temporal-server';

export interface Service {
  name: ServiceName;
  address: string | null;
  /** `undefined` in its environment removes what this process has. */
  command: Omit<TrainerCommand, 'env'> & { env: Record<string, string | undefined> };
  /** Started only once this service is ready. */
  needs?: ServiceName;
  /** Folders that it cannot start without writing to; started only once their disks have room. */
  writesTo: readonly string[];
  /** Runs before each start. */
  beforeStart?(): void;
  /** Whether the process, which is alive, works. */
  isHealthy(record: ServiceRecord): Promise<boolean>;
  /** Runs when a process is first healthy; after it, the service is ready. */
  onHealthy?(): Promise<void>;
}

const HEALTH_TIMEOUT_MS = 3000;

/** The services to run here, without external ones, in the order in which they start. */
export function servicesFor(stateDir: string, config: RuntimeConfig): Service[] {
  const services: Service[] = [];
  if (config.temporal.kind === 'embedded')
    services.push(temporalService(stateDir, config.temporal));
  const { local, root } = config;
  if (local)
    services.push(...local.list.map((each) => trainerService(stateDir, root, local, each)));
  services.push(workerService(stateDir, config));
  return services;
}

function temporalService(stateDir: string, temporal: EmbeddedTemporal): Service {
  return {
    name: 'temporal',
    address: temporal.address,
    command: { file: temporal.binary, args: serverArguments(stateDir, temporal), env: {} },
    writesTo: [stateDir],
    beforeStart: () => removeIncompleteDatabase(stateDir),
    isHealthy: () => isServerHealthy(temporal.address),
    onHealthy: () => completeServerStart(stateDir, temporal),
  };
}

function trainerService(
  stateDir: string,
  root: string,
  { command, unloadAfter }: LocalTrainers,
  { name, address, device, visibleGpus, threads }: LocalTrainer,
): Service {
  const args = trainerArguments(
    ...([address, root, join(stateDir, name), device, threads, unloadAfter ?? null] as const),
  );
  // As at `start`, even if another shell has restarted the supervisor since: what was not set is
  // removed.
  const env = { ...command.env, CUDA_VISIBLE_DEVICES: visibleGpus };
  return {
    name,
    address,
    command: { ...command, args: [...command.args, ...args], env },
    writesTo: [stateDir, root],
    isHealthy: () => isTrainerHealthy(address),
  };
}

async function isTrainerHealthy(address: string): Promise<boolean> {
  try {
    await askCapabilities({ address }, HEALTH_TIMEOUT_MS);
    return true;
  } catch {
    return false;
  }
}

/** The worker's settings, as environment variables. */
export function workerEnvironment({
  root,
  taskQueue,
  temporal,
  ...trainers
}: Omit<RuntimeConfig, 'format' | 'build'>): Record<string, string | undefined> {
  const [first] = listSources(trainers);
  const named = trainers.external.find(({ address }) => !address.startsWith('unix:'));
  return {
    // Keys and certificates of an external server stay in Temporal's own settings. Its address is
    // passed for shells that do not have it.
    [temporal.kind === 'embedded' ? 'SA_ORCH_TEMPORAL_ADDRESS' : 'TEMPORAL_ADDRESS']:
      temporal.address,
    SA_ORCH_NAMESPACE: temporal.namespace,
    SA_ORCH_TASK_QUEUE: taskQueue,
    SA_ORCH_TRAINER: first && firstAddress(first.address),
    // If none is named but sockets, those that list themselves are reached with this shell's.
    ...(named && {
      SA_ORCH_TRAINER_CA: named.tls?.ca,
      SA_ORCH_TRAINER_CERT: named.tls?.cert,
      SA_ORCH_TRAINER_KEY: named.tls?.key,
    }),
    SA_ORCH_ROOT: root,
    // Otherwise glibc gives each thread an arena of its own, and keeps there what threads that
    // tokenize rows have freed: with a fixed threshold, large blocks go back to the system.
    MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '2',
    MALLOC_MMAP_THRESHOLD_: process.env.MALLOC_MMAP_THRESHOLD_ ?? '131072',
  };
}

/**
 * What Node runs a worker with. Reports of thousands of trials leave much to collect, and V8 by
 * default lets a heap grow to several times what it holds before it does; here by a quarter. New
 * objects get 4 MB instead of 16 in each of the worker's threads: it is seldom busy.
 */
export const workerArguments = (): string[] => [
  '--enable-source-maps',
  '--heap-growing-percent=25',
  '--max-semi-space-size=4',
  join(packageRoot(), 'dist', 'workflows', 'worker-main.js'),
];

function workerService(stateDir: string, config: RuntimeConfig): Service {
  return {
    name: 'worker',
    address: null,
    command: {
      file: process.execPath,
      args: workerArguments(),
      env: workerEnvironment(config),
    },
    needs: config.temporal.kind === 'embedded' ? 'temporal' : undefined,
    writesTo: [stateDir],
    // It has no port to ask: it reports once that it is ready, and after that is alive or dead.
    isHealthy: (record) =>
      Promise.resolve(
        record.readySince !== null ||
          readLog(record.log, record.logOffset, 1 << 20).includes('"ready":true'),
      ),
  };
}
