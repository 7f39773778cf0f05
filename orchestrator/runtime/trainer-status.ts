/** The trainers that serve a state directory's root: where each computes, and whether it works. */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { readMovedBytes } from '../trainer-client/moved-bytes';
import { readTrainers, type TrainerSource } from '../trainer-client/registry';
import { readRuntimeConfig, type LocalTrainer, type RuntimeConfig } from './runtime-config';
import { runtimeStatus, type ServiceStatus } from './status';
import { askCapabilities } from './trainer-health';

export interface TrainerStatus {
  name: string;
  /** A service's; of trainers that are not started here, `ready` or `away`. */
  state: ServiceStatus['state'] | 'away';
  /** `cpu`, or a GPU's name; until it answers, what was requested; null if nothing is known. */
  device: string | null;
  /** Of a CPU; null if not known. */
  threads: number | null;
  /** Bytes of its GPU, and how many of them are in use by whatever process; null if not known. */
  memory: number | null;
  memory_used: number | null;
  /** Which GPU it sees, as its CUDA_VISIBLE_DEVICES; null if it was not given one. */
  gpu: string | null;
  framework: string | null;
  address: string;
  pid: number | null;
  /** When it became ready; null if it is not, or is not ours. */
  since: string | null;
  restarts: number;
  last_exit: string | null;
  /** Bytes that went there and came from there, if it has a root of its own; else 0. */
  sent: number;
  received: number;
}

type Known = Omit<TrainerStatus, 'sent' | 'received'>;

export interface TrainerStatuses {
  trainers: TrainerStatus[];
  /** Sources of trainers that cannot be read, a sentence for each. */
  problems: string[];
}

const ANSWER_MS = 3000;

/** Of a state directory whose services run or ran; empty for any other. */
export async function trainerStatuses(stateDir: string): Promise<TrainerStatuses> {
  const services = runtimeStatus(stateDir);
  const config = readRuntimeConfig(stateDir);
  if (config === undefined || services.length === 0) return { trainers: [], problems: [] };
  const own = config.local?.list ?? [];
  const { trainers, problems } = await readTrainers(config.root);
  const others = trainers.filter(({ address }) => own.every((each) => each.address !== address));
  const [mine, theirs] = await Promise.all([
    Promise.all(own.map((trainer) => describeOwn(trainer, config, services))),
    Promise.all(others.map(describeOther)),
  ]);
  const moved = await readMovedBytes(config.root);
  const withBytes = (trainer: Known): TrainerStatus => {
    const { sent = 0, received = 0 } = moved.get(trainer.address) ?? {};
    return { ...trainer, sent, received };
  };
  return { trainers: [...mine, ...theirs].map(withBytes), problems };
}

async function describeOwn(
  { name, address, device, threads, visibleGpus }: LocalTrainer,
  { local }: RuntimeConfig,
  services: readonly ServiceStatus[],
): Promise<Known> {
  const service = services.find((each) => each.name === name);
  const { state = 'waiting', pid = null, since = null } = service ?? {};
  const { restarts = 0, last_exit = null } = service ?? {};
  const found = pid === null ? undefined : await ask({ name, address });
  return {
    ...{ name, state, device, threads, memory: null, memory_used: null },
    gpu: visibleGpus || null,
    ...{ framework: local?.framework ?? null, address, pid, since, restarts, last_exit },
    ...(found && describeDevice(found)),
  };
}

async function describeOther(trainer: TrainerSource): Promise<Known> {
  const { name, address } = trainer;
  const found = await ask(trainer);
  return {
    ...{ name, state: found ? 'ready' : 'away', device: null, threads: null, gpu: null },
    ...{ memory: null, memory_used: null },
    ...{ framework: null, address, pid: null, since: null, restarts: 0, last_exit: null },
    ...(found && describeDevice(found)),
  };
}

const ask = (trainer: TrainerSource): Promise<Capabilities | undefined> =>
  askCapabilities(trainer, ANSWER_MS).catch(() => undefined);

function describeDevice({ framework, devices }: Capabilities) {
  const [first] = devices;
  const device = first === undefined || first.kind === 'cpu' ? 'cpu' : first.name;
  const isGpu = first !== undefined && first.kind !== 'cpu';
  const memory = isGpu && first.memoryBytes > 0 ? first.memoryBytes : null;
  const memory_used = isGpu && first.memoryUsedBytes > 0 ? first.memoryUsedBytes : null;
  return { framework, device, threads: first?.threads || null, memory, memory_used };
}
