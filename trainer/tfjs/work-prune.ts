/** PruneWork: each trial's weights are drawn and scored, and its mask is written. */
import { elements } from '../../common/safetensors';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Adapter,
  Pruner,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { EngineFailure, type JobContext } from '../host/engine';
import { Pace } from '../host/pace';
import { permutation, randomFor } from '../host/random';
import { requireLabels } from '../host/splits';
import { hasMasks, readMasks, resultOf, writeMasks } from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { densities } from './densities';
import { uniforms } from './draws';
import { isPrunable, viewsOf, type Layout } from './layout';
import { lossAndGradient } from './model';
import { Ranking, type Masks, type Scores } from './ranking';
import { synflowScores } from './synflow';

/** Rows of a pass. */
const ROWS = 32;

/** Runs a prune job. A trial whose mask is there, made from the same, is reported as it is. */
export async function runPrune(
  loaded: LoadedJob,
  spec: JobSpec,
  context: JobContext,
): Promise<void> {
  const waiting = spec.trials.filter((trial) => !hasMasks(context.root, spec, trial));
  const job = new PruneJob(loaded, spec, context, waiting);
  for (const trial of spec.trials) {
    try {
      if (waiting.includes(trial)) await job.prune(trial);
      job.report(trial);
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error;
      const value = { trialId: trial.trialId, failure: error.failure(), artifacts: [], values: {} };
      context.emit({ $case: 'trialResult', value });
    }
  }
}

class PruneJob {
  private readonly pace: Pace;
  /**
   * Scores of a first round, which trials that differ in what comes after it share; by all that
   * they follow from.
   */
  private readonly firstScores = new Map<string, Scores>();

  constructor(
    private readonly loaded: LoadedJob,
    private readonly spec: JobSpec,
    private readonly context: JobContext,
    waiting: Trial[],
  ) {
    this.pace = new Pace(context, Phase.PHASE_SCORE, this.plannedRows(waiting));
  }

  async prune(trial: Trial): Promise<void> {
    const layout = this.loaded.layout(trial);
    const shapes = layout.prunableShapes;
    const masks =
      trial.prune!.pruner === Pruner.PRUNER_NONE ? ones(layout) : await this.ranked(trial, layout);
    const tensors = Object.entries(masks).map(([name, data]) => [
      name,
      { shape: shapes[name]!, data },
    ]);
    writeMasks(
      this.context.root,
      this.spec,
      trial,
      Object.fromEntries(tensors) as Parameters<typeof writeMasks>[3],
    );
  }

  /** Tells of the mask that is on disk. */
  report(trial: Trial): void {
    const { trialId } = trial;
    const layout = this.loaded.layout(trial);
    const masks = readMasks(this.context.root, trialId, layout.prunableShapes);
    const counts = Object.entries(masks).map(([name, { data }]) => ({
      name,
      kept: data.reduce((sum, value) => sum + value, 0),
    }));
    const emptied = counts.filter(({ kept }) => kept === 0).map(({ name }) => name);
    if (emptied.length > 0) {
      const more = emptied.length > 8 ? ` and ${emptied.length - 8} more` : '';
      const message = `no weight was kept in ${emptied.slice(0, 8).join(', ')}${more}`;
      this.context.emit({ $case: 'warning', value: { trialId, code: 'layers_emptied', message } });
    }
    const kept = counts.reduce((sum, each) => sum + each.kept, 0);
    const values = {
      // Of an adapter without matrices nothing is removed.
      achieved_sparsity: layout.prunable > 0 ? 1 - kept / layout.prunable : 0,
      kept: kept + layout.adapter - layout.prunable,
      prunable: layout.prunable,
      trainable: layout.adapter,
      head: layout.total - layout.adapter,
    };
    this.context.emit({
      $case: 'trialResult',
      value: resultOf(this.context.root, trialId, ['masks.safetensors'], values),
    });
  }

  private async ranked(trial: Trial, layout: Layout): Promise<Masks> {
    const ranking = new Ranking(trial.prune!, trial.seed, layout.prunableShapes);
    const weights = this.loaded.start(trial, layout);
    for (let round = 0; !ranking.isDone; round++)
      ranking.keep(await this.scores(trial, layout, weights, ranking.masks, round));
    return ranking.finished();
  }

  /** A round's scores at the weights that the masks leave. */
  private async scores(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    masks: Masks,
    round: number,
  ): Promise<Scores> {
    const shapes = layout.prunableShapes;
    const { pruner } = trial.prune!;
    if (pruner === Pruner.PRUNER_SNIP)
      return this.snip(trial, layout, masked(weights, masks), round);
    const views = viewsOf(shapes, masked(weights, masks).subarray(0, layout.prunable));
    if (pruner === Pruner.PRUNER_SYNFLOW) {
      const { hidden, layers } = this.loaded.backbone;
      await this.pace.advance(1, 1);
      this.pace.stopBetweenPasses();
      return synflowScores(trial.adapter!, layers.length, hidden, shapes, views);
    }
    if (pruner === Pruner.PRUNER_MAG) return mapped(views, (values) => values.map(Math.abs));
    return mapped(shapes, (shape, name) =>
      uniforms(elements(shape), 0, 1, randomFor(trial.seed, 'rand', name)),
    );
  }

  /** |g · w| divided by its sum over all matrices (Lee et al. 2019). */
  private async snip(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    round: number,
  ): Promise<Scores> {
    const rows = this.scoringRows(trial);
    const key = JSON.stringify([trial.seed, Adapter.toJSON(trial.adapter!), rows.length]);
    const known = round === 0 ? this.firstScores.get(key) : undefined;
    if (known) {
      await this.pace.advance(0, rows.length);
      return known;
    }
    const parts = this.loaded.parts(trial, layout, 'train');
    const sums = mapped(layout.prunableShapes, (shape) => new Float64Array(elements(shape)));
    for (let at = 0; at < rows.length; at += ROWS) {
      const some = rows.subarray(at, at + ROWS);
      const { gradients } = lossAndGradient(parts, weights, some, isPrunable);
      for (const [name, sum] of Object.entries(sums)) {
        gradients[name]!.forEach((value, i) => (sum[i]! += (value * some.length) / rows.length));
      }
      await this.pace.advance(some.length, some.length);
      this.pace.stopBetweenPasses();
    }
    const views = viewsOf(layout.prunableShapes, weights.subarray(0, layout.prunable));
    const raw = mapped(sums, (sum, name) =>
      Float32Array.from(sum, (gradient, i) => Math.abs(Math.fround(gradient) * views[name]![i]!)),
    );
    const total = Object.values(raw).reduce(
      (sum, scores) => scores.reduce((part, score) => part + score, sum),
      0,
    );
    // All zero: left as they are, for the ranking to refuse.
    const scores =
      total === 0 ? raw : mapped(raw, (values) => values.map((value) => value / total));
    if (round === 0) this.firstScores.set(key, scores);
    return scores;
  }

  /** The first of a permutation keyed with the seed. */
  private scoringRows(trial: Trial): Int32Array {
    requireLabels(this.loaded.split('train'), this.spec.dataset!, 'train');
    const rows = this.loaded.split('train').offsets.length - 1;
    return permutation(rows, trial.seed, 'scoring rows').subarray(0, trial.prune!.scoringRows);
  }

  /** Rows of SNIP's passes; a round of SynFlow takes one row through the trial's modules. */
  private plannedRows(waiting: Trial[]): number {
    return waiting.reduce((sum, { prune }) => {
      const rounds = densities(prune!).length;
      if (prune!.pruner === Pruner.PRUNER_SYNFLOW) return sum + rounds;
      if (prune!.pruner !== Pruner.PRUNER_SNIP) return sum;
      return (
        sum + rounds * Math.min(prune!.scoringRows, this.loaded.split('train').offsets.length - 1)
      );
    }, 0);
  }
}

function ones({ prunableShapes }: Layout): Masks {
  return mapped(prunableShapes, (shape) => new Uint8Array(elements(shape)).fill(1));
}

/**
 * A copy with what the masks remove, which the prunable weights before all others are of, set to 0.
 */
function masked(weights: Float32Array, masks: Masks): Float32Array {
  const result = weights.slice();
  let at = 0;
  for (const mask of Object.values(masks)) for (const kept of mask) result[at++]! *= kept;
  return result;
}

function mapped<A, B>(
  values: Record<string, A>,
  to: (value: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, to(value, name)]));
}
