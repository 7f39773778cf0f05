/** How to reach a trainer: addresses, credentials and connection settings. */
import { checkServerIdentity } from 'node:tls';
import { credentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { proxyChannelOptions } from '../../common/proxies';
import { readTlsFiles, type TlsNames } from '../../common/tls-files';

/** PEM files for a trainer that serves TLS. */
export interface TlsFiles {
  /** The authority that signed the trainer's certificate; the system's authorities if left out. */
  ca?: string;
  /** The client's certificate and key, if the trainer demands them. */
  cert?: string;
  key?: string;
  /** The name that the trainer's certificate is made out to; the address's host if left out. */
  serverName?: string;
}

/** `sun_path` holds 108 bytes including its final zero; Node silently cuts longer paths. */
const LONGEST_SOCKET_PATH = 107;
const LAST_PORT = 65_535;

const CHANNEL_OPTIONS: ChannelOptions = {
  // A dead link is noticed within 15 s, even in mid-stream. Trainers allow a ping every 3 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  // Finds a restarted trainer at once; the default backoff would grow to minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // With the default of 64 KiB per stream, reading a long log waits for round trips of window
  // updates.
  'grpc-node.flow_control_window': 1024 * 1024,
};

/** The settings of a connection to a trainer, which on this machine never takes a proxy. */
export function channelOptions(address: string): ChannelOptions {
  return { ...CHANNEL_OPTIONS, ...proxyChannelOptions(address) };
}

/**
 * Refuses an address that is neither `unix:/absolute/path` nor `host:port`, or that the system
 * cannot use.
 */
export function checkAddress(address: string): void {
  if (address.startsWith('unix:')) {
    const path = address.slice('unix:'.length);
    if (!path.startsWith('/'))
      throw new Error(
        `trainer address ${address}: the socket's path must be absolute, as in ` +
          'unix:/tmp/trainer.sock',
      );
    const bytes = Buffer.byteLength(path);
    if (bytes > LONGEST_SOCKET_PATH) {
      throw new Error(
        `trainer address ${address}: the socket's path has ${bytes} bytes; the system allows at ` +
          `most ${LONGEST_SOCKET_PATH}`,
      );
    }
    return;
  }
  const port = /^[^/\s]+:(\d+)$/.exec(address)?.[1];
  if (port === undefined)
    throw new Error(`trainer address ${address} is neither unix:/path.sock nor host:port`);
  if (Number(port) < 1 || Number(port) > LAST_PORT)
    throw new Error(`trainer address ${address}: ${port} is not a port, 1 to ${LAST_PORT}`);
}

/** The variables that name a client's files. */
export const CLIENT_TLS: TlsNames = {
  ca: 'SA_ORCH_TRAINER_CA',
  cert: 'SA_ORCH_TRAINER_CERT',
  key: 'SA_ORCH_TRAINER_KEY',
};

/**
 * The files named by SA_ORCH_TRAINER_CA, SA_ORCH_TRAINER_CERT and SA_ORCH_TRAINER_KEY; undefined if
 * none is set.
 */
export function tlsFromEnvironment(env: NodeJS.ProcessEnv = process.env): TlsFiles | undefined {
  const { SA_ORCH_TRAINER_CA: ca, SA_ORCH_TRAINER_CERT: cert, SA_ORCH_TRAINER_KEY: key } = env;
  return ca || cert || key ? { ca, cert, key } : undefined;
}

/** The TLS files of an address for which none are given: a socket needs none. */
export const findTls = (address: string): TlsFiles | undefined =>
  address.startsWith('unix:') ? undefined : tlsFromEnvironment();

/**
 * TLS if files are given, otherwise plain text, which a trainer serves on a socket, or on TCP with
 * --insecure.
 *
 * @throws UnusableTls if one of the files cannot be used
 */
export function channelCredentials(tls: TlsFiles | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const { ca = null, cert = null, key = null } = readTlsFiles(tls, CLIENT_TLS);
  const { serverName } = tls;
  return credentials.createSsl(
    ca,
    key,
    cert,
    serverName === undefined
      ? {}
      : {
          checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
        },
  );
}
