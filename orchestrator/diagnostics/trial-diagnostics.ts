/**
 * The diagnostics of a sweep's finished trials. A finished trial never changes, so they are made
 * once from its files, kept beside them, and read once.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { writeDurably } from '../../common/durable-files';
import { ConfigError } from '../base/errors';
import { readSafetensors } from '../datasets/safetensors';
import { readJson } from '../store/read-files';
import { trialDir } from '../store/sweep-store';
import { findDataset, findTrial } from '../sweep/lookup';
import type { Plan, Trial, TrialResult } from '../sweep/types';
import { countConfusions } from '../tasks/evaluate';
import { readCurves } from './curves';
import { describeMask } from './masks';
import type { TrialDiagnostics } from './types';

export const DIAGNOSTICS_FILE = 'diagnostics.json';

/** Between two looks at a clock, or turns for others: they take milliseconds each. */
const AT_ONCE = 8;

export class SweepDiagnostics {
  private readonly known = new Map<string, TrialDiagnostics>();

  constructor(private readonly root: string) {}

  /** By trial id, of the finished trials that were read. */
  get all(): ReadonlyMap<string, TrialDiagnostics> {
    return this.known;
  }

  /**
   * Reads those of finished trials that are not known yet; makes what is not there.
   *
   * @param until a time in milliseconds since the epoch, after which the rest waits for next time
   */
  async refresh(plan: Plan, results: readonly TrialResult[], until = Infinity): Promise<void> {
    const missing = results.filter(
      ({ status, trial_id: id }) => status === 'done' && !this.known.has(id),
    );
    for (let i = 0; i < missing.length && Date.now() < until; i += AT_ONCE) {
      await nextTurn();
      await Promise.all(
        missing.slice(i, i + AT_ONCE).map(async ({ trial_id: id }) => {
          this.known.set(id, await openDiagnostics(this.root, plan, findTrial(plan, id)));
        }),
      );
    }
  }
}

async function openDiagnostics(root: string, plan: Plan, trial: Trial): Promise<TrialDiagnostics> {
  const path = join(trialDir(root, trial.id), DIAGNOSTICS_FILE);
  const kept = await readJson<TrialDiagnostics>(path);
  if (kept?.format === 1) return kept;
  const made = await makeDiagnostics(root, plan, trial);
  await writeDurably(path, `${JSON.stringify(made)}\n`);
  return made;
}

async function makeDiagnostics(root: string, plan: Plan, trial: Trial): Promise<TrialDiagnostics> {
  const { metrics } = findDataset(plan, trial.dataset);
  const masks = join(trialDir(root, trial.id), 'masks.safetensors');
  const isPruned = trial.prune.pruner !== 'none' && existsSync(masks);
  return {
    format: 1,
    trial_id: trial.id,
    confusions: leaveOut(() => countConfusions(root, plan, trial), []),
    curves: await readCurves(root, trial.id, ['loss', ...metrics]),
    mask: isPruned ? leaveOut(() => describeMask(readSafetensors(masks)), null) : null,
  };
}

/** Files of a finished trial may have been removed since: its result stands without them. */
function leaveOut<Value>(make: () => Value, otherwise: Value): Value {
  try {
    return make();
  } catch (error) {
    if (error instanceof ConfigError) return otherwise;
    throw error;
  }
}
