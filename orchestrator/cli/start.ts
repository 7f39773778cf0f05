/**
 * `sa-orch start`, the main command. Plans a sweep, starts the services that are missing, submits
 * the sweep and follows it until its table is there.
 */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { sweep } from '../../workflows/sweep';
import type { SweepInput } from '../../workflows/messages';
import { artifactRootId } from '../../common/files';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { down } from '../runtime/down';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { connectTemporal } from '../runtime/temporal-client';
import { expectedPrecision } from '../runtime/expected-precision';
import { askCapabilities } from '../runtime/trainer-health';
import { refuseUnusable } from '../runtime/runtime-plan';
import { ensureUp, type Runtime } from '../runtime/up';
import { writePlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { removeOutcome } from '../store/sweep-store';
import type { Plan, TrialResult } from '../sweep/types';
import { checkPlan, defaultPrecision } from '../trainer-client/capabilities';
import { attach } from './attach';
import { runningSweeps } from './down';
import { isOpen, workflowState } from './follow';
import { terminateLeftCohorts } from './terminate-cohorts';
import { refuseMixing } from './mixing';
import {
  addJsonOption,
  addPlaceOptions,
  addServiceOptions,
  addSweepOptions,
  parseInteger,
  type PlaceOptions,
  type ServiceOptions,
  type SweepOptions,
} from './options';
import { plural } from '../base/plural';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { sayPrecision } from './precision';
import { checkRoom, listNeeds } from './room';
import { describeSize, planRequest, readRequest, type Request } from './request';
import { refuseOtherQueue } from './task-queue';

const ANSWER_MS = 30_000;

/** One cohort may fail for reasons of its own, and a second one by bad luck. */
const MAX_FAILURES = 3;

export interface LaunchOptions extends PlaceOptions, ServiceOptions {
  dataDir?: string;
  detach?: boolean;
  retryFailed?: boolean;
  mixDevices?: boolean;
  maxFailures?: number;
  json?: boolean;
}

export function startCommand(): Command {
  const command = new Command('start')
    .description(
      'run a sweep: set up what is missing, submit the sweep, follow it until its table is ' +
        'there; if the sweep is already running, join it',
    )
    .requiredOption('--sweep <name|file>', 'name of a sweep in configs/sweeps, or a file')
    .option('--detach', 'submit the sweep and return')
    .option('--retry-failed', 'rerun trials that failed in an earlier run of this sweep')
    .option(
      '--mix-devices',
      'run the rest of a sweep although its finished trials were made by another framework or ' +
        'device',
    )
    .option(
      '--max-failures <n>',
      'stop once this many cohorts failed alike with none succeeding in between; 0: never',
      parseInteger,
      MAX_FAILURES,
    )
    .addHelpText(
      'after',
      '\nExample:\n  sa-orch start --sweep glue --data-dir ~/glue\n\nCtrl-C leaves the sweep ' +
        'running; `sa-orch watch <sweep>` follows it again, `sa-orch cancel <sweep>` ends it.',
    );
  return addJsonOption(addServiceOptions(addPlaceOptions(addSweepOptions(command)))).action(
    (options: LaunchOptions & SweepOptions & { sweep: string }) =>
      runAction(options.json === true, async () =>
        launch(readRequest(options.sweep, options), options),
      ),
  );
}

/** Plans, starts the services that are missing, submits and follows. */
export async function launch(request: Request, options: LaunchOptions): Promise<void> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  const root = artifactRoot(options.root);
  const stateDir = stateDirectory(options.stateDir);
  const services = {
    stateDir,
    root,
    framework: options.framework,
    python: options.python,
    device: options.device,
    threads: options.threads,
    trainerAddress: options.trainer,
    onProgress,
  };
  refuseUnusable(services);
  // Before any service is started: an invalid request fails in a second, not after minutes of
  // setup.
  const planWith = await planRequest(request, options, onProgress);
  const makesEnvironment =
    !options.trainer &&
    !options.python &&
    !process.env.SA_ORCH_PYTHON &&
    options.framework !== 'tfjs';
  const expected = planWith((await expectedPrecision(stateDir)).precision);
  checkRoom(await listNeeds(expected, root, stateDir, makesEnvironment), onProgress);
  const runtime = await ensureUp(services);
  const client = await connectTemporal(stateDir);
  try {
    const { plan, how } = await checkAndSubmit(client, runtime, request, planWith, options).catch(
      async (error: unknown) => {
        // Another start must not find the trainer of this one, which did not fit.
        if (runtime.isOurs) await stopUnused(stateDir);
        throw error;
      },
    );
    say(onProgress, plan, how);
    if (options.detach) {
      if (options.json)
        printJson({
          sweep_id: plan.sweep_id,
          trials: plan.trials.length,
          cohorts: plan.cohorts.length,
          state: how,
        });
      return;
    }
    await attach(client, { root, stateDir }, plan.sweep_id, options.json === true);
  } finally {
    await client.connection.close();
  }
}

/** Submits what the request means to this trainer, unless the trainer cannot run it. */
async function checkAndSubmit(
  client: Client,
  runtime: Runtime,
  request: Request,
  planWith: (precision: PrecisionName) => Plan,
  options: LaunchOptions,
): Promise<{ plan: Plan; how: Submitted }> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  const { root } = runtime;
  const capabilities = await askCapabilities(runtime.trainer, ANSWER_MS);
  const standard = defaultPrecision(capabilities);
  const plan = planWith(standard.precision);
  checkTrainer(runtime, capabilities, plan);
  sayPrecision(request.config.precision, standard, onProgress);
  const how = await submit(client, root, plan, {
    taskQueue: runtime.taskQueue,
    slots: capabilities.slots,
    retryFailed: options.retryFailed === true,
    maxFailures: options.maxFailures ?? MAX_FAILURES,
    checkResults: (results) => {
      if (!options.mixDevices) refuseMixing(plan, results, capabilities);
    },
  });
  return { plan, how };
}

/** Stops services that no sweep uses; those that another start has begun to use stay. */
async function stopUnused(stateDir: string): Promise<void> {
  await down({
    stateDir,
    force: false,
    runningSweeps: () => runningSweeps(stateDir),
    onProgress: () => undefined,
  }).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
  });
}

type Submitted = 'started' | 'joined' | 'complete';

interface SubmitOptions {
  taskQueue: string;
  /** How many jobs the trainer runs at the same time. */
  slots: number;
  retryFailed: boolean;
  /** Throws if the plan's other trials must not run beside these results. */
  checkResults: (results: readonly TrialResult[]) => void;
  /** How many cohorts may fail alike before the sweep stops; 0: any number. */
  maxFailures: number;
}

/** Starts the sweep's workflow unless it is already running or all its results exist. */
async function submit(
  client: Client,
  root: string,
  plan: Plan,
  { taskQueue, slots, retryFailed, maxFailures, checkResults }: SubmitOptions,
): Promise<Submitted> {
  const { state, detail } = await workflowState(client, plan.sweep_id);
  if (state === 'server out of reach')
    throw new UserError(
      `the Temporal server does not answer${detail ? `: ${detail}` : ''}`,
      3,
      '`sa-orch doctor` checks each part.',
    );
  // A running sweep keeps the plan file it was started with.
  if (isOpen(state)) {
    await refuseOtherQueue(client, plan.sweep_id, taskQueue);
    return 'joined';
  }
  const results = await readResults(root, plan);
  const again = results.filter(
    ({ status }) => status === 'cancelled' || (status === 'failed' && retryFailed),
  );
  const isComplete = results.length === plan.trials.length && again.length === 0;
  if (!isComplete) checkResults(results.filter((result) => !again.includes(result)));
  const planDigest = await writePlan(root, plan);
  if (isComplete) return 'complete';
  await terminateLeftCohorts(client, plan.sweep_id);
  for (const { trial_id } of again) await removeOutcome(root, plan.sweep_id, trial_id);
  const input: SweepInput = {
    stateVersion: 1,
    sweepId: plan.sweep_id,
    planDigest,
    // Two sweeps that start in the same millisecond must not share jobs.
    run: `${Date.now().toString(36)}${randomBytes(4).toString('hex')}`,
    cohorts: plan.cohorts.map(({ id, dataset }) => ({ id, dataset })),
    maxParallel: slots,
    maxFailures,
  };
  await client.workflow.start<typeof sweep>('sweep', {
    workflowId: plan.sweep_id,
    taskQueue,
    args: [input],
    // Of two simultaneous starts, the second joins the first.
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${plan.name}: ${plural(plan.trials.length, 'trial')}`,
  });
  return 'started';
}

function say(onProgress: OnProgress, plan: Plan, how: Submitted): void {
  const size = describeSize(plan);
  const words: Record<Submitted, string> = {
    started:
      `${size}   Ctrl-C leaves it running; ` +
      `\`sa-orch watch ${plan.sweep_id}\` follows it again`,
    joined: `${size}   already running; showing its progress`,
    complete: `${size}   all results already exist`,
  };
  onProgress('✓', `sweep ${plan.sweep_id}`, words[how]);
}

/** Refuses, before any job, a plan that the trainer cannot run, with a list of what is missing. */
function checkTrainer(
  { trainer: { address }, root, isOurs }: Runtime,
  capabilities: Capabilities,
  plan: Plan,
): void {
  const lacking = checkPlan(plan, capabilities);
  if (lacking.length > 0) {
    const hint =
      capabilities.framework === 'tfjs'
        ? `The PyTorch trainer supports more: ${isOurs ? '' : '`sa-orch down`, then '}` +
          '--framework torch.'
        : undefined;
    throw new UserError(
      `the trainer at ${address} cannot run this sweep:\n  ${lacking.join('\n  ')}`,
      2,
      hint,
    );
  }
  if (capabilities.artifactRootId !== artifactRootId(root)) {
    throw new UserError(
      `the trainer at ${address} uses a different artifact root from ${root}`,
      2,
      'Start the trainer with --root on the same directory (for example on a shared disk); ' +
        'sending files to a trainer elsewhere is not implemented yet.',
    );
  }
}
