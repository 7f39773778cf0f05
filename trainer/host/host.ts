/**
 * A trainer's process, without its engine.
 *
 * @example
 *   void runTrainer({ name: 'my-trainer', engine: require.resolve('./engine') });
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../common/make-folder';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { explainError } from '../../common/explain-error';
import { artifactRootId } from '../../common/files';
import { keepLogging } from '../../common/log-output';
import { readTlsFiles, TRAINER_TLS } from '../../common/tls-files';
import { stopWithWrapper } from '../../common/wrapper';
import { HealthService } from '../../gen/ts/grpc/health/v1/health';
import { ServerReflectionService } from '../../gen/ts/grpc/reflection/v1alpha/reflection';
import { ArtifactServiceService } from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import { TrainerServiceService } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { ArtifactService } from './artifact-service';
import { readable } from './calls';
import { NoSuchDevice } from './engine';
import { EngineRunner } from './engine-runner';
import { Health } from './health';
import { JobStore } from './jobs';
import { Address, lockOrRefuse } from './listening';
import { log } from './log';
import { renderMetrics, serveMetrics } from './metrics';
import { parseOptions, USAGE, UsageError, type HostOptions } from './options';
import { reflectionHandlers } from './reflection';
import { TrainerService } from './service';

const PROTOCOL_VERSION = 1;
/** One job at a time: it uses every core or the whole GPU. */
const SLOTS = 1;
/** Together less than the 20 s after which a supervisor may kill this process. */
const STOP_JOB_SECONDS = 15;
const CLOSE_CALLS_MS = 2000;

const SERVICES = [
  'sparse_adapter.trainer.v1.TrainerService',
  'sparse_adapter.trainer.v1.ArtifactService',
  'grpc.health.v1.Health',
  'grpc.reflection.v1alpha.ServerReflection',
];

const SERVER_OPTIONS = {
  // Otherwise a second server could bind the same port, and both would report success.
  'grpc.so_reuseport': 0,
  'grpc.keepalive_permit_without_calls': 1,
};

export interface TrainerDefinition {
  /** What error messages begin with. */
  name: string;
  /** Absolute path of the engine's module, from `require.resolve`. */
  engine: string;
}

/**
 * Serves jobs as the command line says, until SIGTERM, SIGINT or SIGHUP. Prints one JSON line on
 * stdout once it listens; everything else goes to stderr.
 *
 * Exit status: 0 after one of these signals, 2 if the command line, the address, the state folder
 * or the device cannot be used, 1 if the trainer itself failed.
 */
export async function runTrainer(
  { name, engine }: TrainerDefinition,
  args: string[] = process.argv.slice(2),
): Promise<void> {
  keepLogging();
  process.on('uncaughtException', (error) => fail(name, error));
  try {
    const options = parseOptions(args);
    if (!options) process.stdout.write(`usage: ${name} [options]\n\n${USAGE}`);
    else await serve(options, engine);
    process.exit(0);
  } catch (error) {
    fail(name, error);
  }
}

function fail(name: string, error: unknown): never {
  const { message, hint, exitStatus } = explainError(error);
  process.stderr.write(`${name}: ${message}${hint === undefined ? '' : `\n  ${hint}`}\n`);
  process.exit(exitStatus);
}

async function serve(options: HostOptions, engine: string): Promise<void> {
  const { root, state, device, threads, queueLength } = options;
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
      process.on(signal, () => resolve());
    stopWithWrapper(resolve);
  });
  makeOptionFolder('--root', root);
  makeOptionFolder('--state', state);
  const address = new Address(options.listen);
  // Locked until the process ends, and before the engine is loaded, so that a second trainer is
  // refused at once.
  lockOrRefuse(join(state, 'lock'), `the state folder ${state}`);
  address.lock();
  const credentials = createCredentials(options);
  const runner = new EngineRunner(
    { module: engine, lock: join(state, 'engine.lock'), root, device, threads },
    options.stallAfter,
    options.unloadAfter,
    (error) => {
      log('ERROR', `the engine cannot be restarted, so the trainer exits: ${error.message}`);
      process.exit(1);
    },
  );
  const found = await Promise.race([stopped, runner.start()]);
  if (!found) return;
  if (device.startsWith('cuda') && found.devices.every(({ kind }) => kind !== 'cuda'))
    throw new NoSuchDevice(`--device ${device}: this trainer computes only on the CPU`);
  const capabilities = {
    ...found,
    protocolVersion: PROTOCOL_VERSION,
    slots: SLOTS,
    queueLength,
    artifactRootId: artifactRootId(root),
    artifactService: true,
    hubDownload: false,
  };
  const store = new JobStore(state, queueLength, options.quarantineAfter, options.retention);
  const service = new TrainerService(store, capabilities, root, runner);
  const artifacts = new ArtifactService(root);
  const health = new Health(SERVICES);
  const server = new Server(SERVER_OPTIONS);
  server.addService(readable(TrainerServiceService), service.handlers());
  server.addService(readable(ArtifactServiceService), artifacts.handlers());
  server.addService(HealthService, health.handlers());
  server.addService(ServerReflectionService, reflectionHandlers(SERVICES));
  if (options.metricsPort !== undefined)
    serveMetrics(options.metricsPort, () =>
      renderMetrics({
        ...{ capabilities, store, counts: runner.counts, moved: artifacts.moved },
        secondsSinceWork: () => runner.secondsSinceWork(),
      }),
    );
  const listening = await address.bind(server, credentials);
  runner.work(store);
  const { kind, threads: used } = capabilities.devices[0]!;
  const { framework, frameworkVersion: version } = capabilities;
  process.stdout.write(
    `${JSON.stringify({ listening, framework, version, device: kind, threads: used })}\n`,
  );

  await stopped;
  health.stop();
  store.stop();
  service.stop();
  artifacts.stop();
  await runner.stop(STOP_JOB_SECONDS);
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  await Promise.race([closed, sleep(CLOSE_CALLS_MS)]);
}

function makeOptionFolder(option: string, path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw new UsageError(`${option}: ${explainError(error).message}`);
  }
}

/** TLS if configured. */
function createCredentials({ tls }: HostOptions): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const { cert, key, clientCa } = tls;
  const { ca = null, ...own } = readTlsFiles({ ca: clientCa, cert, key }, TRAINER_TLS);
  const pair = { private_key: own.key!, cert_chain: own.cert! };
  return ServerCredentials.createSsl(ca, [pair], ca !== null);
}
