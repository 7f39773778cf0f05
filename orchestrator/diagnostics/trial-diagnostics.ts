/**
 * The diagnostics of a sweep's finished trials. A finished trial never changes, so they are made
 * once from its files, kept beside them, and read once.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { writeDurably } from '../../common/durable-files';
import { ConfigError } from '../base/errors';
import { readSafetensors } from '../datasets/safetensors';
import { readJson } from '../store/read-files';
import { findMasks, trialDir } from '../store/sweep-store';
import { findDataset, findTrial } from '../sweep/lookup';
import type { Plan, Trial, TrialResult } from '../sweep/types';
import { countConfusions } from '../tasks/evaluate';
import { readCurves } from './curves';
import { describeMask } from './masks';
import type { TrialDiagnostics } from './types';

export const DIAGNOSTICS_FILE = 'diagnostics.json';
/** 3: curves have the evaluations on the way. */
const FORMAT: TrialDiagnostics['format'] = 3;

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
  // What cannot be read is made again.
  const kept = await orElse(() => readJson<TrialDiagnostics>(path), null);
  if (kept?.format === FORMAT) return kept;
  // Predictions and masks may be gone by now.
  const isBefore = (kept?.format as number | undefined) === FORMAT - 1;
  const { made, isWhole } = isBefore
    ? { made: { ...kept!, ...(await readNew(root, plan, trial)) }, isWhole: true }
    : await makeDiagnostics(root, plan, trial);
  if (isWhole) await writeDurably(path, `${JSON.stringify(made)}\n`);
  return made;
}

/** What the last format has that the one before had not. */
async function readNew(
  root: string,
  plan: Plan,
  trial: Trial,
): Promise<Pick<TrialDiagnostics, 'format' | 'curves'>> {
  const { metrics } = findDataset(plan, trial.dataset);
  return { format: FORMAT, curves: await readCurves(root, trial.id, ['loss', ...metrics]) };
}

/**
 * Files of a finished trial may have been removed or damaged since: its result stands without them,
 * and what they would have told is looked for again the next time.
 */
async function makeDiagnostics(
  root: string,
  plan: Plan,
  trial: Trial,
): Promise<{ made: TrialDiagnostics; isWhole: boolean }> {
  const { metrics } = findDataset(plan, trial.dataset);
  const masks = findMasks(root, trial.id);
  let isWhole = true;
  const leaveOut = <Value>(make: () => Value | Promise<Value>, otherwise: Value) =>
    orElse(make, otherwise, () => (isWhole = false));
  const made: TrialDiagnostics = {
    format: FORMAT,
    trial_id: trial.id,
    confusions: await leaveOut(() => countConfusions(root, plan, trial), []),
    curves: await leaveOut(() => readCurves(root, trial.id, ['loss', ...metrics]), {}),
    mask:
      trial.prune.pruner === 'none'
        ? null
        : await leaveOut(() => describeMask(readSafetensors(masks)), null),
  };
  return { made, isWhole };
}

/** What a file that is missing or broken gives instead. */
async function orElse<Value>(
  read: () => Value | Promise<Value>,
  otherwise: Value,
  note: () => void = () => undefined,
): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof SyntaxError)) throw error;
    note();
    return otherwise;
  }
}
