/**
 * What runs for a state directory, and how: `.sa-orch/runtime.json`. Written by `up`, read by the
 * supervisor and by every client.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceName } from '../../common/device';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import type { Framework, TrainerCommand } from './trainer-command';

/** A Temporal server of our own, with its database in the state directory. */
export interface EmbeddedTemporal {
  kind: 'embedded';
  binary: string;
  /** As `temporal --version` says. */
  version: string;
  /** `127.0.0.1:<port>`. */
  address: string;
  uiPort: number;
  namespace: 'default';
}

/**
 * Somebody else's server. How to reach it (TLS, keys) is in Temporal's own settings, never in this
 * file.
 */
export interface ExternalTemporal {
  kind: 'external';
  address: string;
  namespace: string;
}

/** A trainer that is started here. */
export interface LocalTrainer {
  kind: 'local';
  framework: Framework;
  /** `unix:<path>`. */
  address: string;
  /** What starts it, but for the options that every trainer has. */
  command: TrainerCommand;
  /** torch: the interpreter that the user named; null where it is an environment of our own. */
  ownPython: string | null;
  /** null: the trainer chooses. */
  device: DeviceName | null;
  /** CUDA_VISIBLE_DEVICES where `start` was called; absent: not set there, so all GPUs are seen. */
  visibleGpus?: string;
  threads: number | null;
}

/** A trainer that somebody else started. */
export interface ExternalTrainer {
  kind: 'external';
  address: string;
}

const FORMAT = 2;

export interface RuntimeConfig {
  format: typeof FORMAT;
  /** The artifact root. */
  root: string;
  /** Stamp of the build that the worker's code is from. */
  build: string;
  taskQueue: string;
  temporal: EmbeddedTemporal | ExternalTemporal;
  trainer: LocalTrainer | ExternalTrainer;
}

const configPath = (stateDir: string): string => join(stateDir, 'runtime.json');

/**
 * The configuration of the last `up`; undefined where there was none, or it was of an older
 * version.
 */
export function readRuntimeConfig(stateDir: string): RuntimeConfig | undefined {
  const content = readIfThere(configPath(stateDir));
  const config = content === undefined ? undefined : (JSON.parse(content) as RuntimeConfig);
  return config?.format === FORMAT ? config : undefined;
}

export function writeRuntimeConfig(stateDir: string, config: RuntimeConfig): void {
  writeDurablySync(configPath(stateDir), JSON.stringify(config, null, 2));
}

/** After `down` nothing is remembered but the ports and the database. */
export function removeRuntimeConfig(stateDir: string): void {
  rmSync(configPath(stateDir), { force: true });
}
