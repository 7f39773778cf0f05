/**
 * Connects to Temporal: the embedded server of a state directory, or the one in Temporal's own
 * settings.
 */
import { existsSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { lockHolder } from '../../common/lock-file';
import { isAlive } from '../../common/process-identity';
import { proxyChannelOptions } from '../../common/proxies';
import { UserError } from '../base/errors';
import { refuseOtherHost } from './other-host';
import { readRuntimeConfig, type EmbeddedTemporal, type ExternalTemporal } from './runtime-config';
import { readSupervisorState, supervisorLockPath } from './supervisor-state';

type Settings = ReturnType<typeof loadClientConnectConfig>;

/**
 * The server that the environment names by TEMPORAL_ADDRESS, TEMPORAL_PROFILE or
 * TEMPORAL_CONFIG_FILE; undefined, for the embedded server, if it names none. A profile in
 * Temporal's default file alone does not count, because a first try must not land on a production
 * cluster.
 *
 * @throws UserError (exit 2) if TEMPORAL_CONFIG_FILE does not exist (the SDK would use localhost
 *   instead) or the settings are invalid
 */
export function externalTemporal(
  env: NodeJS.ProcessEnv = process.env,
): ExternalTemporal | undefined {
  if (!env.TEMPORAL_ADDRESS && !env.TEMPORAL_PROFILE && !env.TEMPORAL_CONFIG_FILE) return undefined;
  const { connectionOptions, namespace } = externalSettings(env);
  if (!connectionOptions.address) {
    const profile = env.TEMPORAL_PROFILE ?? 'default';
    throw new UserError(
      `Temporal's settings (profile ${profile}) have no address`,
      2,
      'Set TEMPORAL_ADDRESS=<host:port>, or `address` in the profile.',
    );
  }
  return {
    kind: 'external',
    address: connectionOptions.address,
    namespace: namespace ?? 'default',
  };
}

function externalSettings(env: NodeJS.ProcessEnv): Settings {
  const file = env.TEMPORAL_CONFIG_FILE;
  if (file && !existsSync(file))
    throw new UserError(`TEMPORAL_CONFIG_FILE names ${file}, which does not exist`, 2);
  const set = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  try {
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(set) });
  } catch (error) {
    throw new UserError(
      `Temporal's settings are invalid: ${(error as Error).message}`,
      2,
      undefined,
      { cause: error },
    );
  }
}

/**
 * Connects to the server of a state directory. Close it with `client.connection.close()`.
 *
 * @throws UserError (exit 3) if it is not running or unreachable; (exit 2) if it runs on another
 *   host
 */
export async function connectTemporal(stateDir: string, timeoutMs = 10_000): Promise<Client> {
  const config = readRuntimeConfig(stateDir);
  if (config === undefined)
    throw new UserError(`no services were started in ${stateDir}`, 3, '`sa-orch up` starts them.');
  if (config.temporal.kind === 'embedded') refuseOtherHost(stateDir);
  // Asked all the same, it would be waited for as long as one that is slow.
  if (isServerStopped(stateDir))
    throw new UserError('the Temporal server is not running', 3, '`sa-orch up` starts it.');
  return connectTo(config.temporal, timeoutMs);
}

/**
 * Whether a state directory has no server: nothing was started, or the embedded one has ended and
 * nobody starts it again.
 */
export function isServerStopped(stateDir: string): boolean {
  const config = readRuntimeConfig(stateDir);
  if (config === undefined) return true;
  if (config.temporal.kind === 'external' || lockHolder(supervisorLockPath(stateDir))) return false;
  const { services = [] } = readSupervisorState(stateDir) ?? {};
  const server = services.find(({ name }) => name === 'temporal');
  return server !== undefined && !isAlive(server.process);
}

export async function connectTo(
  temporal: EmbeddedTemporal | ExternalTemporal,
  timeoutMs: number,
): Promise<Client> {
  // This shell may not have the TEMPORAL_ADDRESS of the one that ran `up`: the address is
  // remembered, keys are not.
  const settings =
    temporal.kind === 'embedded' ? {} : externalSettings(process.env).connectionOptions;
  // The worker's native options and the client's agree in everything that the settings contain.
  const clientOptions = {
    ...settings,
    address: temporal.address,
    channelArgs: proxyChannelOptions(temporal.address),
    connectTimeout: timeoutMs,
  } as Parameters<typeof Connection.connect>[0];
  try {
    const connection = await Connection.connect(clientOptions);
    return new Client({ connection, namespace: temporal.namespace });
  } catch (error) {
    const hint = temporal.kind === 'embedded' ? '`sa-orch up` starts it.' : undefined;
    throw new UserError(
      `Temporal at ${temporal.address} does not answer: ${(error as Error).message}`,
      3,
      hint,
      { cause: error },
    );
  }
}
