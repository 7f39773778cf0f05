/** `sa-orch status`: services and sweeps. */
import { Command } from 'commander';
import { listFullDisks } from '../../common/disk-space';
import { ConfigError } from '../base/errors';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { connectTemporal } from '../runtime/temporal-client';
import { runtimeStatus } from '../runtime/status';
import { readPlan } from '../store/plan-store';
import { readResults } from '../store/sweep-results';
import { listSweeps, readProgress } from '../store/sweep-store';
import type { Plan, TrialResult } from '../sweep/types';
import { findFailingActivities } from './failing-activities';
import { isOpen, workflowState, type WorkflowState } from './follow';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { findOutage } from './outage';
import { plural } from '../base/plural';
import { printJson, runAction } from './output';

/** What a cohort of an open sweep waits for. */
interface CohortNote {
  cohort: string;
  state: string;
  note: string;
}

interface SweepLine {
  sweep_id: string;
  state: WorkflowState | 'complete' | 'not running' | 'unreadable';
  detail: string | null;
  trials: number;
  done: number;
  failed: number;
  cancelled: number;
  notes: CohortNote[];
  /** Activities that fail again and again, and why. */
  failing: string[];
}

export function statusCommand(): Command {
  const command = new Command('status')
    .description('show the services and sweeps of this directory; starts nothing')
    .addHelpText('after', '\nExample:\n  sa-orch status --json');
  return addJsonOption(addPlaceOptions(command)).action(
    (options: PlaceOptions & { json?: boolean }) =>
      runAction(options.json === true, async () => {
        const stateDir = stateDirectory(options.stateDir);
        const root = artifactRoot(options.root);
        const services = runtimeStatus(stateDir);
        const sweeps = await sweepLines(root, stateDir);
        const full_disks = listFullDisks([root, stateDir]);
        if (options.json) return printJson({ services, sweeps, full_disks });
        for (const { name, state, pid, address, restarts } of services) {
          const parts = [
            address,
            pid === null ? null : `pid ${pid}`,
            restarts > 0 ? plural(restarts, 'restart') : null,
          ];
          const details = parts.filter((part) => part !== null).join(', ');
          process.stdout.write(`${name.padEnd(12)} ${state.padEnd(12)} ${details}\n`);
        }
        const outage = findOutage(stateDir);
        if (outage !== null) process.stdout.write(`${outage}\n`);
        if (services.length === 0)
          process.stdout.write(
            'no services here; start them with `sa-orch start` or `sa-orch up`\n',
          );
        for (const sweep of sweeps) process.stdout.write(`${describe(sweep)}\n`);
        for (const disk of full_disks) process.stdout.write(`${disk}; sweeps wait\n`);
      }),
  );
}

async function sweepLines(root: string, stateDir: string): Promise<SweepLine[]> {
  // Files say what is done; the server says only what is running. Results remain when it is gone.
  const client = await connectTemporal(stateDir).catch(() => null);
  const lines: SweepLine[] = [];
  for (const sweep_id of await listSweeps(root)) {
    const plan = await readPlan(root, sweep_id).catch((error: unknown) => {
      if (error instanceof ConfigError) return error;
      throw error;
    });
    if (plan instanceof ConfigError) {
      lines.push({
        sweep_id,
        state: 'unreadable',
        detail: plan.message,
        trials: 0,
        done: 0,
        failed: 0,
        cancelled: 0,
        notes: [],
        failing: [],
      });
      continue;
    }
    const results = await readResults(root, plan);
    const count = (status: string) => results.filter((result) => result.status === status).length;
    const { state, detail } = client
      ? await workflowState(client, sweep_id)
      : { state: 'server out of reach' as const, detail: null };
    const complete = results.length === plan.trials.length;
    const ended =
      ['unknown', 'finished', 'server out of reach'].includes(state) ||
      // Another sweep may have finished the rest of a stopped one.
      (state === 'stopped' && complete);
    lines.push({
      sweep_id,
      state: ended ? endedState(state, complete, count('cancelled')) : state,
      detail: complete ? null : detail,
      trials: plan.trials.length,
      done: count('done'),
      failed: count('failed'),
      cancelled: count('cancelled'),
      notes: isOpen(state) ? await readNotes(root, plan, results) : [],
      failing: client && isOpen(state) ? await findFailingActivities(client, sweep_id) : [],
    });
  }
  await client?.connection.close();
  return lines;
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
    const progress = await readProgress(root, plan.sweep_id, id);
    if (progress?.note) notes.push({ cohort: id, state: progress.state, note: progress.note });
  }
  return notes;
}

/** What the files say about a sweep that is not open on the server. */
function endedState(
  state: WorkflowState,
  complete: boolean,
  cancelled: number,
): SweepLine['state'] {
  if (complete) return cancelled > 0 ? 'cancelled' : 'complete';
  return state === 'unknown' ? 'not running' : state;
}

function describe(sweep: SweepLine): string {
  const { sweep_id, state, detail, trials, done, failed, cancelled, notes, failing } = sweep;
  const counts = [
    `${done} of ${trials} trials done`,
    failed > 0 ? `${failed} failed` : '',
    cancelled > 0 ? `${cancelled} cancelled` : '',
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
