/** `sa-orch status`: services and sweeps. */
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import { listFullDisks } from '../../common/disk-space';
import { ConfigError } from '../base/errors';
import { isIdleness } from '../runtime/idleness';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { connectTemporal, isServerStopped } from '../runtime/temporal-client';
import { describeReplacedRoot } from '../runtime/replaced-root';
import { isTrainerName, readRuntimeConfig } from '../runtime/runtime-config';
import { runtimeStatus, type ServiceStatus } from '../runtime/status';
import { readSupervisorState } from '../runtime/supervisor-state';
import { trainerStatuses } from '../runtime/trainer-status';
import { readPlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { listSweeps, readProgress } from '../store/sweep-store';
import { countTrials } from '../sweep/search';
import type { Plan, TrialResult } from '../sweep/types';
import { findFailingActivities } from './failing-activities';
import { isOpen, workflowState, type WorkflowState } from './follow';
import { listOpenSweeps } from './open-sweeps';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { findOutage } from './outage';
import { plural } from '../base/plural';
import { quoteWord } from '../base/shell-quote';
import { describeOtherFolders, listBusyFolders } from './other-folders';
import { describePool, describeWaiting, readPool, type Pool } from './pool-view';
import { printJson, printText, runAction } from './output';
import { nameState, type EndedState } from './sweep-end';
import { describeTrainer } from './trainer-lines';

/** What a cohort of an open sweep waits for. */
interface CohortNote {
  cohort: string;
  state: string;
  note: string;
}

interface SweepLine {
  sweep_id: string;
  /** `lost`: open on the server, but its files were removed. */
  state: EndedState | 'unreadable' | 'lost';
  detail: string | null;
  trials: number;
  done: number;
  failed: number;
  cancelled: number;
  /** Of a search, early. */
  stopped: number;
  notes: CohortNote[];
  /** Activities that fail again and again, and why. */
  failing: string[];
}

export function statusCommand(): Command {
  const command = new Command('status')
    .description('show the services and sweeps of this directory; starts nothing')
    .option('--all', 'show the services of every directory in which this user started some last')
    .addHelpText('after', '\nExamples:\n  sa-orch status --json\n  sa-orch status --all');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { all?: boolean; json?: boolean }) =>
      runAction(options.json === true, async () => {
        if (options.all) return showAll(options.json === true);
        const stateDir = stateDirectory(options.stateDir);
        const root = artifactRoot(options.root);
        const services = runtimeStatus(stateDir);
        const { trainers, problems } = await trainerStatuses(stateDir);
        const config = readRuntimeConfig(stateDir);
        const client = await connectTemporal(stateDir).catch(() => null);
        const pool = client && config ? await readPool(client, config.taskQueue) : undefined;
        const sweeps = await sweepLines(client, root, stateDir, pool);
        for (const sweep of sweeps) {
          const note = pool?.state && describeWaiting(pool.state, sweep.sweep_id, Date.now());
          if (note) sweep.notes.push({ cohort: 'all', state: 'waiting', note });
        }
        await client?.connection.close();
        const parts = pool?.state && (await describePool(root, pool.state, Date.now()));
        const full_disks = listFullDisks([root, stateDir]);
        const replaced = services.length > 0 && config ? describeReplacedRoot(config) : undefined;
        if (options.json) {
          const told = trainers.map((trainer) => ({
            ...trainer,
            pool: parts?.get(trainer.address) ?? null,
          }));
          const found = {
            services,
            trainers: told,
            trainer_problems: problems,
            sweeps,
            full_disks,
          };
          return printJson({ ...found, root_problem: replaced?.what ?? null });
        }
        const listed = services.filter((service) => !isTrainerService(service));
        for (const service of listed) printText(`${describeService(service)}\n`);
        for (const trainer of trainers)
          printText(`${describeTrainer(trainer, parts?.get(trainer.address))}\n`);
        for (const problem of problems) printText(`${problem}\n`);
        const outage = services.some(endedIdle) ? null : findOutage(services);
        if (outage !== null) printText(`${outage}\n`);
        if (replaced !== undefined) printText(`${replaced.what}\n  ${replaced.wayOut}\n`);
        if (services.length === 0) {
          const others = describeOtherFolders(stateDir);
          printText(`no services here; \`sa-orch start\` or \`sa-orch up\` starts them${others}\n`);
        }
        for (const sweep of sweeps) printText(`${describe(sweep)}\n`);
        for (const disk of full_disks) printText(`${disk}; sweeps wait\n`);
      }),
  );
}

/** Trainers have lines of their own, also those that are no service of this folder. */
const isTrainerService = ({ name, state, address }: ServiceStatus): boolean =>
  isTrainerName(name) || (state === 'external' && name === address);

/** The services of every folder. */
function showAll(json: boolean): void {
  const folders = listBusyFolders();
  if (json) {
    const places = folders.map(({ folder, root, stateDir, services, problem }) => ({
      ...{ folder, root, state_dir: stateDir, services, problem },
    }));
    return printJson({ places });
  }
  if (folders.length === 0) printText('no services of this user are running\n');
  for (const { folder, stateDir, services, problem } of folders) {
    printText(`${folder}   (state in ${stateDir})\n`);
    if (problem !== null) printText(`  ${problem}\n`);
    for (const service of services) printText(`  ${describeService(service)}\n`);
  }
}

/** Whether it was stopped because nobody needed it: no outage. */
const endedIdle = ({ state, last_exit }: ServiceStatus): boolean =>
  state === 'stopped' && last_exit !== null && isIdleness(last_exit);

function describeService({
  name,
  state,
  pid,
  address,
  restarts,
  last_exit,
}: ServiceStatus): string {
  const parts = [
    address,
    pid === null ? null : `pid ${pid}`,
    restarts > 0 ? plural(restarts, 'restart') : null,
    state === 'stopped' ? last_exit : null,
  ];
  const details = parts.filter((part) => part !== null).join(', ');
  return `${name.padEnd(12)} ${state.padEnd(12)} ${details}`.trimEnd();
}

/** Files say what is done; the server, if it answers, only what is running. */
async function sweepLines(
  client: Client | null,
  root: string,
  stateDir: string,
  pool: Pool | undefined,
): Promise<SweepLine[]> {
  const isStopped = isServerStopped(stateDir);
  const paused = isStopped ? (readSupervisorState(stateDir)?.paused ?? []) : [];
  const nameAway = (id: string): WorkflowState =>
    paused.includes(id) ? 'paused' : isStopped ? 'unknown' : 'server out of reach';
  const lines: SweepLine[] = [];
  const open = client ? await listOpenSweeps(client, stateDir).catch(() => []) : [];
  for (const { sweepId, isLost } of open) if (isLost) lines.push(lostLine(sweepId));
  for (const sweep_id of await listSweeps(root)) {
    if (lines.some((line) => line.sweep_id === sweep_id)) continue;
    const line = sweepLine(client, root, sweep_id, nameAway(sweep_id), pool).catch(
      (error: unknown) => {
        if (error instanceof ConfigError) return emptyLine(sweep_id, 'unreadable', error.message);
        throw error;
      },
    );
    lines.push(await line);
  }
  return lines;
}

/**
 * @param away its state if the server is away
 * @throws ConfigError if one of its files cannot be read
 */
async function sweepLine(
  client: Client | null,
  root: string,
  sweep_id: string,
  away: WorkflowState,
  pool: Pool | undefined,
): Promise<SweepLine> {
  const plan = await readPlan(root, sweep_id);
  const results = await readResults(root, plan);
  const count = (status: string) => results.filter((result) => result.status === status).length;
  const { state, detail } = client
    ? await workflowState(client, sweep_id)
    : { state: away, detail: away === 'paused' ? describePause(sweep_id) : null };
  const complete = results.length === countTrials(plan);
  return {
    sweep_id,
    state: nameState(state, plan, results),
    detail: complete ? null : detail,
    trials: countTrials(plan),
    done: count('done'),
    failed: count('failed'),
    cancelled: count('cancelled'),
    stopped: count('stopped'),
    notes: client && isOpen(state) ? await readNotes(root, plan, results) : [],
    failing: client && isOpen(state) ? await findFailingActivities(client, sweep_id, pool) : [],
  };
}

/** What the cohorts in progress wait for, by their progress files. */
async function readNotes(
  root: string,
  plan: Plan,
  results: readonly TrialResult[],
): Promise<CohortNote[]> {
  const ended = new Set(results.map(({ trial_id }) => trial_id));
  const notes: CohortNote[] = [];
  for (const { id, trials } of plan.cohorts) {
    if (trials.every((trial) => ended.has(trial))) continue;
    for (const { state, note } of await readProgress(root, plan.sweep_id, id))
      if (note) notes.push({ cohort: id, state, note });
  }
  return notes;
}

function emptyLine(sweep_id: string, state: SweepLine['state'], detail: string): SweepLine {
  const counts = { trials: 0, done: 0, failed: 0, cancelled: 0, stopped: 0 };
  return { sweep_id, state, detail, ...counts, notes: [], failing: [] };
}

/** Of one that `down` has left so. */
const describePause = (id: string): string =>
  `\`sa-orch up\` and then \`sa-orch resume ${quoteWord(id)}\` continue it`;

const lostLine = (id: string): SweepLine =>
  emptyLine(id, 'lost', `its files were removed; \`sa-orch cancel ${quoteWord(id)}\` ends it`);

function describe(sweep: SweepLine): string {
  const { sweep_id, state, detail, trials, done, failed, cancelled, stopped } = sweep;
  const { notes, failing } = sweep;
  if (trials === 0) return `${sweep_id.padEnd(24)} ${state.padEnd(12)} ${detail}`;
  const counts = [
    `${done} of ${trials} trials done`,
    failed > 0 ? `${failed} failed` : '',
    cancelled > 0 ? `${cancelled} cancelled` : '',
    stopped > 0 ? `${stopped} stopped early` : '',
  ];
  const columns = [sweep_id.padEnd(24), state.padEnd(12), counts.filter(Boolean).join(', ')];
  return [
    `${columns.join(' ')}${detail ? `   ${detail}` : ''}`,
    ...notes.map(
      ({ cohort, state: its, note }) => `  ${cohort.padEnd(22)} ${its.padEnd(12)} ${note}`,
    ),
    ...failing.map((line) => `  ${line}`),
  ].join('\n');
}
