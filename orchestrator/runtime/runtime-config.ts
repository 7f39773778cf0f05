/**
 * What runs for a state directory, and how: `.sa-orch/runtime.json`. Written by `up`, read by the
 * supervisor and every client.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceName } from '../../common/device';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { brokenFile, parseObject } from '../base/parse-object';
import type { TlsFiles } from '../trainer-client/channel';
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

/** A trainer that we start. */
export interface LocalTrainer {
  kind: 'local';
  framework: Framework;
  /** `unix:<path>`. */
  address: string;
  /** How to start it, without the options that every trainer has. */
  command: TrainerCommand;
  /** torch: the interpreter that the user named; null if we created its environment. */
  ownPython: string | null;
  /** null if the trainer chooses. */
  device: DeviceName | null;
  /**
   * CUDA_VISIBLE_DEVICES when `start` was called; absent if it was not set, so all GPUs are
   * visible.
   */
  visibleGpus?: string;
  threads: number | null;
  /** Minutes without a job after which it frees its backbone; absent: the trainer's default. */
  unloadAfter?: number;
}

/** A trainer that we did not start. */
export interface ExternalTrainer {
  kind: 'external';
  address: string;
  /** Absolute paths, as SA_ORCH_TRAINER_CA, _CERT and _KEY were when `start` was called. */
  tls?: TlsFiles;
}

/** Minutes; the trainers' own default is the same. */
export const DEFAULT_UNLOAD_AFTER = 15;
/** Minutes. */
export const DEFAULT_STOP_AFTER = 120;

const FORMAT = 2;

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
  trainer: LocalTrainer | ExternalTrainer;
}

const configPath = (stateDir: string): string => join(stateDir, 'runtime.json');

/** The configuration of the last `up`; undefined if there was none or its format is older. */
export function readRuntimeConfig(stateDir: string): RuntimeConfig | undefined {
  const path = configPath(stateDir);
  const content = readIfThere(path);
  const config = content === undefined ? undefined : parseObject<RuntimeConfig>(path, content);
  if (config?.format !== FORMAT) return undefined;
  if (!config.temporal?.address || !config.trainer?.address)
    throw brokenFile(path, 'names no server or no trainer');
  return config;
}

export function writeRuntimeConfig(stateDir: string, config: RuntimeConfig): void {
  writeDurablySync(configPath(stateDir), JSON.stringify(config, null, 2));
}

/** Forgets everything but the ports and the database, after `down`. */
export function removeRuntimeConfig(stateDir: string): void {
  rmSync(configPath(stateDir), { force: true });
}
