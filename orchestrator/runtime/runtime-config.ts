/**
 * What runs for a state directory, and how: `.sa-orch/runtime.json`. Written by `up`, read by the
 * supervisor and every client.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { brokenFile, parseObject } from '../base/parse-object';
import type { TlsFiles } from '../trainer-client/channel';
import type { TrainerSource } from '../trainer-client/registry';
import type { Assignment, TrainerWishes } from './assign-devices';
import type { Framework, TrainerCommand } from './trainer-command';

/** A Temporal server of our own, with its database in the state directory. */
export interface EmbeddedTemporal {
  kind: 'embedded';
  binary: string;
  /** As printed by `temporal --version`. */
  version: string;
  /** `127.0.0.1:<port>`. */
  address: string;
  uiPort: number;
  namespace: 'default';
}

/**
 * A server that we do not run. Its TLS settings and keys are in Temporal's own settings, never in
 * this file.
 */
export interface ExternalTemporal {
  kind: 'external';
  address: string;
  namespace: string;
}

/** `trainer`, `trainer-2`, …: a service's name. The first has the name of those that were alone. */
export type TrainerName = 'trainer' | `trainer-${number}`;

export const trainerName = (index: number): TrainerName =>
  index === 0 ? 'trainer' : `trainer-${index + 1}`;

export const isTrainerName = (name: string): name is TrainerName => /^trainer(-\d+)?$/.test(name);

/** One of the trainers that we start. */
export interface LocalTrainer extends Assignment {
  name: TrainerName;
  /** `unix:<path>`. */
  address: string;
}

/** The trainers that we start. */
export interface LocalTrainers {
  framework: Framework;
  /** How to start one, without the options that every trainer has. */
  command: TrainerCommand;
  /** torch: the interpreter that the user named; null if we created its environment. */
  ownPython: string | null;
  /** Minutes without a job after which one frees its backbone; absent: the trainer's default. */
  unloadAfter?: number;
  /** When `start` was called. */
  wishes: TrainerWishes;
  list: LocalTrainer[];
}

/** Trainers that we did not start. */
export interface ExternalTrainer {
  /** `unix:<path>`, `host:port`, `@<absolute file>` or `dns:<name>:<port>`. */
  address: string;
  /** Absolute paths, as SA_ORCH_TRAINER_CA, _CERT and _KEY were when `start` was called. */
  tls?: TlsFiles;
}

/** Minutes; the trainers' own default is the same. */
export const DEFAULT_UNLOAD_AFTER = 15;
/** Minutes. */
export const DEFAULT_STOP_AFTER = 120;

const FORMAT = 3;

export interface RuntimeConfig {
  format: typeof FORMAT;
  /** The artifact root. */
  root: string;
  /** Its id when the services were started; absent in files of earlier versions. */
  rootId?: string;
  /** Stamp of the build that the worker runs. */
  build: string;
  taskQueue: string;
  /** Minutes without an open sweep after which all services end; absent: the default. */
  stopAfter?: number;
  temporal: EmbeddedTemporal | ExternalTemporal;
  /** null if none is started here. */
  local: LocalTrainers | null;
  /** In the order in which they were named. */
  external: ExternalTrainer[];
}

/** All trainers of a configuration, those started here first. */
export function listSources({ local, external }: TrainersOf): TrainerSource[] {
  return [
    ...(local?.list ?? []).map(({ name, address }) => ({ name, address })),
    ...external.map(({ address, tls }) => ({
      ...{ name: address, address },
      ...(tls === undefined ? {} : { tls }),
    })),
  ];
}

export type TrainersOf = Pick<RuntimeConfig, 'local' | 'external'>;

const configPath = (stateDir: string): string => join(stateDir, 'runtime.json');

/** The configuration of the last `up`; undefined if there was none or its format is older. */
export function readRuntimeConfig(stateDir: string): RuntimeConfig | undefined {
  const path = configPath(stateDir);
  const content = readIfThere(path);
  if (content === undefined) return undefined;
  const written = parseObject<RuntimeConfig | ConfigOfOneTrainer>(path, content);
  if (written.format !== FORMAT && written.format !== 2) return undefined;
  const namesTrainer = written.format === 2 ? written.trainer?.address : namesTrainers(written);
  if (!written.temporal?.address || !namesTrainer)
    throw brokenFile(path, 'names no server or no trainer');
  return written.format === 2 ? adoptOneTrainer(written) : written;
}

function namesTrainers({ local, external }: TrainersOf): boolean {
  const lists = [local?.list ?? [], external];
  return (
    lists.every((list) => Array.isArray(list) && list.every((each) => each?.address)) &&
    lists.some((list) => list.length > 0)
  );
}

/** Format 2, of versions that knew of one trainer: its services may still run. */
interface ConfigOfOneTrainer extends Omit<RuntimeConfig, 'format' | 'local' | 'external'> {
  format: 2;
  trainer:
    | ({ kind: 'local'; address: string } & Omit<LocalTrainers, 'wishes' | 'list'> &
        Omit<TrainerWishes, 'trainers' | 'devices'>)
    | ({ kind: 'external' } & ExternalTrainer);
}

function adoptOneTrainer({ trainer, ...shared }: ConfigOfOneTrainer): RuntimeConfig {
  if (trainer.kind === 'external') {
    const { address, tls } = trainer;
    const external = [tls === undefined ? { address } : { address, tls }];
    return { ...shared, format: FORMAT, local: null, external };
  }
  const { framework, command, ownPython, unloadAfter, address } = trainer;
  const { device, threads, visibleGpus } = trainer;
  const seeing = visibleGpus === undefined ? {} : { visibleGpus };
  const local: LocalTrainers = {
    ...{ framework, command, ownPython },
    ...(unloadAfter === undefined ? {} : { unloadAfter }),
    wishes: { trainers: null, devices: null, device, threads, ...seeing },
    list: [{ name: trainerName(0), address, device, threads, ...seeing }],
  };
  return { ...shared, format: FORMAT, local, external: [] };
}

export function writeRuntimeConfig(stateDir: string, config: RuntimeConfig): void {
  writeDurablySync(configPath(stateDir), JSON.stringify(config, null, 2));
}

/** Forgets everything but the ports and the database, after `down`. */
export function removeRuntimeConfig(stateDir: string): void {
  rmSync(configPath(stateDir), { force: true });
}
