/** The command line, the same for every trainer. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEVICE_FORMS, isDeviceName, type DeviceName } from '../../common/device';
import { parseMetricsPort } from '../../common/metrics-port';
import { checkListenerOptions } from '../../common/tls-files';
import { DEFAULT_RETENTION, type Retention } from './retention';

export interface HostOptions {
  listen: string;
  root: string;
  state: string;
  device: DeviceName;
  threads: number | undefined;
  queueLength: number;
  quarantineAfter: number;
  retention: Retention;
  /** In seconds. */
  stallAfter: number;
  /** Minutes without a job after which the engine's process ends, to free its memory; 0: never. */
  unloadAfter: number;
  /** Where to serve metrics, as parseMetricsPort reads it; nowhere if left out. */
  metricsPort: string | undefined;
  insecure: boolean;
  tls: { cert: string; key: string; clientCa: string | undefined } | undefined;
}

/** The command line is wrong; the message names the option and what would be right. */
export class UsageError extends Error {
  readonly exitCode = 2;
}

export const USAGE = `Serves prune, train and predict jobs of sparse adapters over gRPC.

  --listen <address>        unix:/path.sock, or host:port with --tls-cert and --tls-key or
                            --insecure
  --root <folder>           the artifact root: reads data sets, writes masks, adapters
                            and predictions
  --state <folder>          this trainer's own folder for jobs and their logs
  --device <name>           auto, cpu, cuda, or cuda:<index>; auto uses the first GPU if
                            there is one (default)
  --threads <n>             CPU threads, at most (and by default) the number of cores
  --queue-length <n>        jobs that may wait (default 16)
  --quarantine-after <n>    give up a job after this many of its runs crashed the trainer
                            (default 3)
  --keep-job-days <days>    forget a job and its log this many days after its end (default
                            ${DEFAULT_RETENTION.days}); results stay
  --keep-jobs-mb <mb>       forget the oldest ended jobs once all of them take more than this
                            (default ${DEFAULT_RETENTION.megabytes}), but none of the last hour
  --stall-after <seconds>   restart the engine if the running job's loop has not moved for
                            this long; a job that does so again has failed (default 600)
  --unload-after <minutes>  end the engine's process after so long without a job, which frees its
                            memory; the next job starts another one (default 15; 0: never)
  --metrics-port <port>     serve metrics for Prometheus at this port of 127.0.0.1, or at
                            <host>:<port>
  --insecure                serve TCP without TLS: anyone who reaches the port can use the
                            trainer
  --tls-cert <file>         the server's certificate chain (PEM)
  --tls-key <file>          its private key (PEM)
  --tls-client-ca <file>    require client certificates signed by this authority (PEM)
`;

const OPTIONS = {
  listen: { type: 'string' },
  root: { type: 'string' },
  state: { type: 'string' },
  device: { type: 'string', default: 'auto' },
  threads: { type: 'string' },
  'queue-length': { type: 'string', default: '16' },
  'quarantine-after': { type: 'string', default: '3' },
  'keep-job-days': { type: 'string', default: String(DEFAULT_RETENTION.days) },
  'keep-jobs-mb': { type: 'string', default: String(DEFAULT_RETENTION.megabytes) },
  'stall-after': { type: 'string', default: '600' },
  'unload-after': { type: 'string', default: '15' },
  'metrics-port': { type: 'string' },
  insecure: { type: 'boolean', default: false },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-client-ca': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** Parses and checks the command line; undefined if help was requested. Throws UsageError. */
export function parseOptions(args: string[]): HostOptions | undefined {
  const given = parseFlags(args);
  if (given.help) return undefined;
  const listen = requireFlag('--listen', given.listen);
  const cert = given['tls-cert'];
  const key = given['tls-key'];
  const clientCa = given['tls-client-ca'];
  const { device, insecure } = given;
  checkListenerOptions({ listen, insecure, tlsCert: cert, tlsKey: key, tlsClientCa: clientCa });
  if (!isDeviceName(device)) throw new UsageError(`--device: ${device} is not ${DEVICE_FORMS}`);
  return {
    listen,
    root: resolve(requireFlag('--root', given.root)),
    state: resolve(requireFlag('--state', given.state)),
    device,
    threads: given.threads === undefined ? undefined : count('--threads', given.threads),
    queueLength: count('--queue-length', given['queue-length']),
    quarantineAfter: count('--quarantine-after', given['quarantine-after']),
    retention: {
      days: amount('--keep-job-days', given['keep-job-days']),
      megabytes: amount('--keep-jobs-mb', given['keep-jobs-mb']),
    },
    stallAfter: count('--stall-after', given['stall-after']),
    unloadAfter: zeroOrMore('--unload-after', given['unload-after']),
    metricsPort: readMetricsPort(given['metrics-port']),
    insecure,
    tls: cert === undefined || key === undefined ? undefined : { cert, key, clientCa },
  };
}

function parseFlags(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function requireFlag(option: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`${option} is missing`);
  return value;
}

function readMetricsPort(where: string | undefined): string | undefined {
  if (where === undefined || parseMetricsPort(where) !== undefined) return where;
  throw new UsageError(`--metrics-port: ${where} is not a port, or <host>:<port>`);
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`${option}: ${text} is not a whole number of at least 1`);
  return value;
}

function zeroOrMore(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new UsageError(`${option}: ${text} is not a number of at least 0`);
  return value;
}

function amount(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new UsageError(`${option}: ${text} is not a number above 0`);
  return value;
}
