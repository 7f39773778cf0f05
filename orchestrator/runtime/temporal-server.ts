/**
 * The embedded Temporal server: the CLI's development server, with its database in the state
 * directory.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { UserError } from '../base/errors';
import { parseObject } from '../base/parse-object';
import { writeDurablySync } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { proxyChannelOptions } from '../../common/proxies';
import { cacheDirectory } from './paths';
import { claimPort } from './ports';
import type { EmbeddedTemporal } from './runtime-config';
import type { TemporalBinary } from './temporal-binary';

const GRPC_PORT = 7233;
const UI_PORT = 8233;

/**
 * How long finished workflows are kept for the UI. Results do not depend on it because they are
 * files. The server's own default is one day.
 */
const RETENTION = '30 days';

const HEALTH_TIMEOUT_MS = 3000;

export const databasePath = (stateDir: string): string => join(stateDir, 'temporal', 'temporal.db');
const markerPath = (stateDir: string): string => join(stateDir, 'temporal', 'schema-complete.json');

/** Chooses ports (those of last time, if any) and refuses a database of another version. */
export async function planEmbeddedServer(
  stateDir: string,
  binary: TemporalBinary,
  last?: EmbeddedTemporal,
): Promise<EmbeddedTemporal> {
  refuseOtherVersion(stateDir, binary);
  const registry = join(cacheDirectory(), 'ports');
  const port = await claimPort(
    registry,
    stateDir,
    GRPC_PORT,
    last && Number(last.address.split(':')[1]),
  );
  const uiPort = await claimPort(registry, stateDir, UI_PORT, last?.uiPort);
  return {
    kind: 'embedded',
    binary: binary.path,
    version: binary.version,
    address: `127.0.0.1:${port}`,
    uiPort,
    namespace: 'default',
  };
}

/** Databases are not migrated between releases, and a newer server may break an older one. */
function refuseOtherVersion(stateDir: string, binary: TemporalBinary): void {
  const text = readIfThere(markerPath(stateDir));
  if (text === undefined) return;
  const { version } = parseObject<{ version: string }>(markerPath(stateDir), text);
  if (version === binary.version) return;
  throw new UserError(
    `${databasePath(stateDir)} was made by Temporal ${version}, ` +
      `but ${binary.path} is ${binary.version}`,
    2,
    `Set SA_ORCH_TEMPORAL=<path> to the old binary, or remove ${join(stateDir, 'temporal')}: ` +
      'finished trials stay in the artifact root,\nand starting a sweep again continues from its ' +
      'files.',
  );
}

/**
 * Command line of the server. WAL with synchronous = NORMAL starts ten times as many workflows per
 * second as the default, and loses nothing if the process is killed. A power cut may lose the last
 * acknowledged moments, which a sweep then repeats from its files.
 */
export function serverArguments(stateDir: string, { address, uiPort }: EmbeddedTemporal): string[] {
  const [ip = '127.0.0.1', port = String(GRPC_PORT)] = address.split(':');
  const listen = ['--ip', ip, '--port', port, '--ui-port', String(uiPort)];
  const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => [
    '--sqlite-pragma',
    pragma,
  ]);
  return [
    'server',
    'start-dev',
    '--db-filename',
    databasePath(stateDir),
    ...pragmas,
    ...listen,
    '--ui-disable-news-fetch',
    '--log-level',
    'warn',
  ];
}

/**
 * Before each start, removes a database whose server died before its schema was complete. It would
 * stay broken, and contains nothing yet: `up` reports a server only once the marker exists.
 */
export function removeIncompleteDatabase(stateDir: string): void {
  makeFolder(join(stateDir, 'temporal'));
  if (existsSync(markerPath(stateDir))) return;
  for (const suffix of ['', '-wal', '-shm', '-journal'])
    rmSync(databasePath(stateDir) + suffix, { force: true });
}

const connectLazily = (address: string): Connection =>
  Connection.lazy({ address, channelArgs: proxyChannelOptions(address) });

/**
 * Whether the server answers and has its namespace; a server without tables, too, calls itself
 * healthy.
 */
export async function isServerHealthy(address: string): Promise<boolean> {
  const connection = connectLazily(address);
  try {
    await connection.withDeadline(Date.now() + HEALTH_TIMEOUT_MS, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    );
    return true;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}

/**
 * After a start, sets the retention and, the first time, records that the schema is complete and by
 * which version.
 */
export async function completeServerStart(
  stateDir: string,
  { address, version }: EmbeddedTemporal,
): Promise<void> {
  const connection = connectLazily(address);
  try {
    await connection.withDeadline(Date.now() + 10_000, () =>
      connection.workflowService.updateNamespace({
        namespace: 'default',
        config: { workflowExecutionRetentionTtl: msToTs(RETENTION) },
      }),
    );
  } finally {
    await connection.close();
  }
  if (!existsSync(markerPath(stateDir)))
    writeDurablySync(markerPath(stateDir), JSON.stringify({ version }));
}
