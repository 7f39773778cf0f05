/**
 * `sa-orch start`, the main command. Plans a sweep, starts the services that are missing, submits
 * the sweep and follows it until its table is there.
 */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { PRIORITIES, type Priority } from '../../workflows/messages';
import { artifactRootId } from '../../common/files';
import { nameHolder, withLock } from '../../common/lock-file';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { connectTemporal } from '../runtime/temporal-client';
import { expectedPrecision } from '../runtime/expected-precision';
import type { UpOptions } from '../runtime/runtime-plan';
import { announceStart } from '../runtime/starts';
import { refuseUnusable } from '../runtime/trainer-plan';
import { ensureUp, type Runtime } from '../runtime/up';
import { writeReport } from '../report/write';
import { readDecided } from '../store/decided-plan';
import { readResults } from '../store/sweep-results';
import { countTrials } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { planWarnings } from '../sweep/warnings';
import { findObstacle } from '../trainer-client/access';
import { checkPlan, preferredCohort } from '../trainer-client/capabilities';
import { attach } from './attach';
import { askTrainers, chooseTrainers, type Candidate } from './choose-trainers';
import { areSweepsRunning } from './down';
import { compareWithLast, sayLastSweep } from './last-sweep';
import { notSubmittedYet, sweepGoesOn } from './lost-output';
import { addRetryOptions, listRetries, type RetryOptions } from './retries';
import { setUpInterruptibly } from './set-up';
import { saySubmitted, submitSweep, type Submitted } from './submit';
import { refuseMixing } from './mixing';
import {
  addJsonOption,
  addPlaceOptions,
  addPlacementOptions,
  addServiceOptions,
  addSweepOptions,
  parseInteger,
  readServiceOptions,
  type PlaceOptions,
  type ServiceOptions,
  type SweepOptions,
} from './options';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { sayPrecision } from './precision';
import { checkRoom, listNeeds } from './room';
import { planRequest, readRequest, sayExtensions, type PlanWith, type Request } from './request';

/** One cohort may fail for reasons of its own, and a second one by bad luck. */
const MAX_FAILURES = 3;

export interface LaunchOptions extends PlaceOptions, ServiceOptions, RetryOptions {
  dataDir?: string;
  detach?: boolean;
  mixDevices?: boolean;
  maxFailures?: number;
  maxParallel?: number;
  priority?: Priority;
  json?: boolean;
}

export function startCommand(): Command {
  const command = new Command('start')
    .description(
      'run a sweep: set up what is missing, submit the sweep, follow it until its table is ' +
        'there; if the sweep is already running, join it',
    )
    .requiredOption('--sweep <name|file>', 'name of a sweep in configs/sweeps, or a file')
    .addHelpText(
      'after',
      '\nExample:\n  sa-orch start --sweep glue --data-dir ~/glue\n\nCtrl-C leaves the sweep ' +
        'running; `sa-orch watch <sweep>` follows it again, `sa-orch cancel <sweep>` ends it.',
    );
  addRunOptions(command);
  addRetryOptions(command);
  addPlacementOptions(command);
  return addJsonOption(addServiceOptions(addPlaceOptions(addSweepOptions(command)))).action(
    (options: LaunchOptions & SweepOptions & { sweep: string }) =>
      runAction(options.json === true, async () =>
        launch(readRequest(options.sweep, options), options),
      ),
  );
}

/** Everything that a command takes which launches a sweep, whatever it begins from. */
export const addLaunchOptions = (command: Command): Command =>
  [addRunOptions, addPlacementOptions, addPlaceOptions, addServiceOptions, addJsonOption].reduce(
    (added, add) => add(added),
    command,
  );

/** How a sweep is run that is submitted. */
function addRunOptions(command: Command): Command {
  return command
    .option('--detach', 'submit the sweep and return')
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
    );
}

/** Plans, starts the services that are missing, submits and follows. */
export async function launch(request: Request, options: LaunchOptions): Promise<void> {
  const root = artifactRoot(options.root);
  const stateDir = stateDirectory(options.stateDir);
  let word = 'No sweep was submitted.';
  const { client, plan, how } = await setUpInterruptibly(
    stateDir,
    () => word,
    options.json === true,
    () => {
      const onSubmit = (id: string) => {
        word = `${id} may have been submitted; \`sa-orch status\` lists it then.`;
      };
      return submitRequest(request, options, { root, stateDir }, onSubmit);
    },
  );
  try {
    if (!options.detach)
      return await attach(client, { root, stateDir }, plan.sweep_id, options.json === true);
    if (!options.json) return;
    const { sweep_id, cohorts } = plan;
    const { state } = how;
    const warnings = planWarnings(plan);
    const added = request.stored?.added && { added: request.stored.added };
    const trials = countTrials(plan);
    printJson({ sweep_id, trials, cohorts: cohorts.length, state, ...added, warnings });
  } finally {
    await client.connection.close();
  }
}

/** All that comes before a sweep is followed. The caller closes the client. */
async function submitRequest(
  request: Request,
  options: LaunchOptions,
  { root, stateDir }: { root: string; stateDir: string },
  onSubmit: (sweepId: string) => void,
): Promise<{ client: Client; plan: Plan; how: Submitted }> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  notSubmittedYet();
  const services: UpOptions = {
    stateDir,
    root,
    ...readServiceOptions(options),
    onProgress,
  };
  refuseUnusable(services);
  // Before any service is started: an invalid request fails in a second, not after minutes of
  // setup.
  const planWith = request.stored?.planWith ?? (await planRequest(request, options, onProgress));
  const makesEnvironment =
    !options.trainer &&
    !options.python &&
    !process.env.SA_ORCH_PYTHON &&
    options.framework !== 'tfjs';
  const expected = planWith((await expectedPrecision(stateDir)).precision);
  checkRoom(await listNeeds(expected, root, stateDir, makesEnvironment), onProgress);
  const start = announceStart(stateDir);
  try {
    const runtime = await ensureUp(services);
    const client = await connectTemporal(stateDir);
    try {
      const submitted = await checkAndSubmit(client, runtime, request, planWith, options, onSubmit);
      return { client, ...submitted };
    } catch (error) {
      // The next start must not find the trainer of this one, which did not fit. What cannot be
      // stopped is not what the user asked about.
      await runtime.undo(() => areSweepsRunning(client, stateDir)).catch(() => undefined);
      await client.connection.close();
      throw error;
    }
  } finally {
    start.release();
  }
}

/** Submits what the request means to this trainer, unless the trainer cannot run it. */
async function checkAndSubmit(
  client: Client,
  runtime: Runtime,
  request: Request,
  planWith: PlanWith,
  options: LaunchOptions,
  onSubmit: (sweepId: string) => void,
): Promise<{ plan: Plan; how: Submitted }> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  const { root } = runtime;
  const { plan, standard, capabilities, kind, slots } = chooseTrainers(await askTrainers(root), {
    planWith,
    check: (planned, candidate) => listObstacles(planned, candidate, root),
    mixDevices: options.mixDevices === true,
    hint: (able) => hintAtMore(able, runtime.isOurs),
    onProgress,
  });
  if (request.stored === undefined) {
    sayPrecision(request.config.precision, standard, onProgress);
    sayExtensions(plan, onProgress);
  }
  // A command's trial is named by its flags, which differ from trial to trial.
  if (request.config.file !== null && !options.json && request.stored === undefined)
    sayLastSweep(await compareWithLast(root, plan, request.asked), onProgress, true);
  onSubmit(plan.sweep_id);
  // One after the other: a second start must find the sweep of the first, not replace its plan.
  const how = await withLock(
    join(runtime.stateDir, 'submit.lock'),
    (holder) => onProgress('…', 'sweep', `${nameHolder(holder)} is submitting one`),
    async () => {
      const decided = await readDecided(root, plan);
      return submitSweep(client, root, plan, {
        asked: request.asked,
        extension: request.stored?.extension && {
          extension: request.stored.extension,
          maxCohort: preferredCohort(capabilities),
        },
        taskQueue: runtime.taskQueue,
        hasOldWorker: runtime.hasOldWorker,
        isOtherBuild: runtime.isOtherBuild,
        maxParallel: options.maxParallel ?? 0,
        longestFirst: slots > 1,
        placement: { priority: PRIORITIES.indexOf(options.priority ?? 'normal'), kind },
        temporal: runtime.temporal,
        decided,
        retry: listRetries(root, decided, options),
        maxFailures: options.maxFailures ?? MAX_FAILURES,
        checkResults: (results) => {
          if (!options.mixDevices) refuseMixing(plan, results, capabilities);
        },
        onProgress,
      });
    },
  );
  sweepGoesOn(plan.sweep_id);
  // No worker has seen this sweep: another one ran its trials.
  if (how.state === 'complete')
    await writeReport(how.plan, await readResults(root, how.plan), root);
  saySubmitted(onProgress, how.plan, how, options.detach === true);
  return { plan: how.plan, how };
}

/** What of a plan a trainer cannot do, one sentence each. */
function listObstacles(
  plan: Plan,
  { trainer: { address }, capabilities }: Candidate,
  root: string,
): string[] {
  const lacking = checkPlan(plan, capabilities);
  if (lacking.length > 0) return lacking;
  const obstacle = findObstacle(address, capabilities, { path: root, id: artifactRootId(root) });
  if (obstacle === undefined) return [];
  return [
    `${obstacle}; start it with --root on the same directory, for example on a shared disk, or ` +
      'again if that directory was removed or replaced since',
  ];
}

function hintAtMore({ framework }: Capabilities, isOurs: boolean): string | undefined {
  if (framework !== 'tfjs') return undefined;
  return (
    `The PyTorch trainer supports more: ${isOurs ? '' : '`sa-orch down`, then '}` +
    '--framework torch.'
  );
}
