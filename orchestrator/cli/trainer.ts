/** `sa-orch trainer`: a trainer in the foreground, for a GPU box. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { DeviceName } from '../../common/device';
import {
  checkListenerOptions,
  readTlsFiles,
  TRAINER_TLS,
  type ListenerOptions,
} from '../../common/tls-files';
import { UserError } from '../base/errors';
import { runInForeground } from '../runtime/foreground';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import {
  checkDevice,
  FRAMEWORKS,
  setUpTrainer,
  trainerArguments,
  type Framework,
} from '../runtime/trainer-command';
import { checkAddress } from '../trainer-client/channel';
import { holdTrainerList } from '../trainer-client/registry';
import {
  addPlaceOptions,
  parseAddress,
  parseCount,
  parseDevice,
  parseListen,
  parseMinutes,
  parseNumber,
  parseTrainerMetrics,
  UNLOAD_AFTER,
  type PlaceOptions,
} from './options';
import { progressLineOnStderr, runAction } from './output';

interface TrainerOptions extends PlaceOptions {
  framework: Framework;
  listen: string;
  python?: string;
  device?: DeviceName;
  threads?: number;
  unloadAfter?: number;
  queueLength?: number;
  keepJobDays?: number;
  keepJobsMb?: number;
  stallAfter?: number;
  metricsPort?: string;
  insecure?: boolean;
  tlsCert?: string;
  tlsKey?: string;
  tlsClientCa?: string;
  register?: boolean;
  advertise?: string;
  json?: boolean;
}

export function trainerCommand(): Command {
  const command = new Command('trainer')
    .description('run a trainer in the foreground until Ctrl-C or SIGTERM')
    .addOption(
      new Option('--framework <name>', 'training framework').choices(FRAMEWORKS).default('torch'),
    )
    .requiredOption(
      '--listen <address>',
      'unix:<path>, or host:port with --tls-cert and --tls-key or with --insecure',
      parseListen,
    )
    .option(
      '--python <path>',
      'Python interpreter for torch (default: SA_ORCH_PYTHON, else an environment created on ' +
        'first use)',
    )
    .option('--device <name>', 'device: auto, cpu, cuda or cuda:<index>', parseDevice)
    .option('--threads <n>', 'CPU threads; affects the last digits of results', parseCount)
    .option('--unload-after <minutes>', UNLOAD_AFTER, parseMinutes)
    .option('--queue-length <n>', 'maximum number of waiting jobs', parseCount)
    .option(
      '--keep-job-days <days>',
      'forget a job and its log this many days after its end (default: 14); results stay',
      parseNumber,
    )
    .option(
      '--keep-jobs-mb <mb>',
      'forget the oldest ended jobs once all of them take more than this (default: 1000), but ' +
        'none of the last hour',
      parseNumber,
    )
    .option(
      '--stall-after <seconds>',
      'end a run whose loop has not moved for this long (default: 600); the torch trainer then ' +
        'exits with status 3 and must be started again',
      parseCount,
    )
    .option(
      '--metrics-port <port>',
      'serve metrics of this trainer for Prometheus at this port of 127.0.0.1, or at <host>:<port>',
      parseTrainerMetrics,
    )
    .option('--insecure', 'listen on TCP without TLS: anyone who can reach the port can run jobs')
    .option('--tls-cert <file>', 'certificate chain (PEM)')
    .option('--tls-key <file>', 'private key (PEM)')
    .option(
      '--tls-client-ca <file>',
      'accept only clients with a certificate from this authority (PEM)',
    )
    .option(
      '--register',
      'list this trainer in the artifact root while it lives, so that sweeps there use it',
    )
    .option(
      '--advertise <address>',
      'host:port under which others reach it, with --register (default: that of --listen, with ' +
        "this host's name for 0.0.0.0)",
      parseAddress,
    )
    .option('--json', 'print errors as JSON (the line that says it listens is always JSON)')
    .addHelpText(
      'after',
      '\nExample:\n  sa-orch trainer --listen 0.0.0.0:7400 --tls-cert server.pem --tls-key ' +
        'server.key \\\n    --tls-client-ca ca.pem --device cuda\n\nClients then need ' +
        'SA_ORCH_TRAINER_CERT and SA_ORCH_TRAINER_KEY, signed by that authority. Without ' +
        '--tls-client-ca,\nanyone who can reach the port can run jobs.',
    );
  return addPlaceOptions(command).action((options: TrainerOptions) =>
    runAction(options.json === true, async () => {
      checkDevice(
        options.framework,
        options.device ?? null,
        options.python ?? process.env.SA_ORCH_PYTHON ?? null,
      );
      checkListener(options);
      const address = options.register ? advertisedAddress(options) : undefined;
      const {
        file,
        args: first,
        env,
      } = await setUpTrainer(options.framework, {
        python: options.python,
        onProgress: progressLineOnStderr,
      });
      const root = artifactRoot(options.root);
      const args = trainerArguments(
        options.listen,
        root,
        join(stateDirectory(options.stateDir), 'trainer'),
        options.device ?? null,
        options.threads ?? null,
        options.unloadAfter ?? null,
      );
      const release =
        address === undefined
          ? () => undefined
          : await holdTrainerList(root, 'trainer', [{ name: address, address }]);
      if (address !== undefined)
        progressLineOnStderr('✓', 'trainer', `listed as ${address} in ${root}`);
      const warning = describeOpenDoor(options);
      if (warning !== undefined) progressLineOnStderr('!', 'trainer', warning);
      try {
        process.exitCode = await runInForeground(
          file,
          [...first, ...args, ...listenerArguments(options)],
          env,
        );
      } finally {
        release();
      }
    }),
  );
}

/**
 * Where others reach a trainer that listens here.
 *
 * @throws UserError (exit 2) if its port is known only once it listens
 */
export function advertisedAddress(
  { listen, advertise }: Pick<TrainerOptions, 'listen' | 'advertise'>,
  host = hostname(),
): string {
  const address = advertise ?? listen.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, host);
  try {
    checkAddress(address);
  } catch (error) {
    throw new UserError(
      `--register: ${(error as Error).message}`,
      2,
      'Use --listen with a port that is not 0, or --advertise <host:port>.',
    );
  }
  return address;
}

/** What a listener says that lets in anyone who can reach its port; undefined for others. */
export function describeOpenDoor({
  listen,
  tlsClientCa,
}: Pick<TrainerOptions, 'listen' | 'tlsClientCa'>): string | undefined {
  if (listen.startsWith('unix:') || tlsClientCa !== undefined) return undefined;
  return (
    `anyone who can reach ${listen} can run jobs, which read and write files as this user: ` +
    'there is no --tls-client-ca, so clients are not asked who they are'
  );
}

/**
 * Refuses what the trainer would refuse only once it is set up.
 *
 * @throws UnusableTls naming the option
 */
export function checkListener(options: ListenerOptions): void {
  checkListenerOptions(options);
  const { tlsCert: cert, tlsKey: key, tlsClientCa: ca } = options;
  readTlsFiles({ ca, cert, key }, TRAINER_TLS);
}

/** Passed on unchanged; the trainer checks them. */
function listenerArguments({
  queueLength,
  keepJobDays,
  keepJobsMb,
  stallAfter,
  metricsPort,
  insecure,
  tlsCert,
  tlsKey,
  tlsClientCa,
}: TrainerOptions): string[] {
  const values = {
    '--queue-length': queueLength,
    '--keep-job-days': keepJobDays,
    '--keep-jobs-mb': keepJobsMb,
    '--stall-after': stallAfter,
    '--metrics-port': metricsPort,
    '--tls-cert': tlsCert,
    '--tls-key': tlsKey,
    '--tls-client-ca': tlsClientCa,
  };
  const given = Object.entries(values).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, String(value)],
  );
  return insecure ? [...given, '--insecure'] : given;
}
