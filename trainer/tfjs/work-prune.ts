/** PruneWork: draws and scores each trial's weights, and writes its mask. */
import { elements } from '../../common/safetensors';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { Pruner, type JobSpec, type Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { EngineFailure, type JobContext } from '../host/engine';
import { Pace } from '../host/pace';
import {
  describeFailure,
  describeResult,
  hasMasks,
  readMasks,
  writeMasks,
} from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { densities } from './densities';
import { makeViews, type Layout } from './layout';
import { findScorer } from './pruners';
import { mapped } from './pruners/scorer';
import { Ranking, type Masks, type Scores } from './ranking';
import { ScoringGradients } from './scoring-gradient';
import { withScoringHead } from './scoring-head';

/** Runs a prune job. A trial that already has a mask from the same source is only reported. */
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
      const value = describeFailure(trial.trialId, error.failure());
      context.emit({ $case: 'trialResult', value });
    }
  }
}

class PruneJob {
  private readonly pace: Pace;
  private readonly gradients: ScoringGradients;

  constructor(
    private readonly loaded: LoadedJob,
    private readonly spec: JobSpec,
    private readonly context: JobContext,
    waiting: Trial[],
  ) {
    this.pace = new Pace(context, Phase.PHASE_SCORE, this.plannedRows(waiting));
    this.gradients = new ScoringGradients(loaded, spec.dataset!, this.pace);
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
    await writeMasks(
      this.context,
      this.spec,
      trial,
      Object.fromEntries(tensors) as Parameters<typeof writeMasks>[3],
    );
  }

  /** Reports the mask on disk. */
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
      // Nothing is removed from an adapter without matrices.
      achieved_sparsity: layout.prunable > 0 ? 1 - kept / layout.prunable : 0,
      kept: kept + layout.adapter - layout.prunable,
      prunable: layout.prunable,
      trainable: layout.adapter,
      head: layout.head,
    };
    this.context.emit({
      $case: 'trialResult',
      value: describeResult(this.context.root, trialId, ['masks.safetensors'], values),
    });
  }

  private async ranked(trial: Trial, layout: Layout): Promise<Masks> {
    const ranking = new Ranking(trial.prune!, trial.seed, layout.prunableShapes);
    const weights = withScoringHead(
      trial,
      layout,
      this.loaded.start(trial, layout),
      this.loaded.split('train'),
      this.spec.dataset!,
    );
    for (let round = 0; !ranking.isDone; round++)
      ranking.keep(await this.scores(trial, layout, weights, ranking.masks, round));
    return ranking.finished();
  }

  /** A round's scores, at the weights that the masks leave. */
  private scores(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    masks: Masks,
    round: number,
  ): Promise<Scores> | Scores {
    const left = masked(weights, masks);
    const { hidden, layers } = this.loaded.backbone;
    return findScorer(trial.prune!.pruner).score({
      trial,
      shapes: layout.prunableShapes,
      weights: makeViews(layout.prunableShapes, left.subarray(0, layout.prunable)),
      layers: layers.length,
      hidden,
      pace: this.pace,
      gradient: () => this.gradients.at(trial, layout, left, round === 0),
      squaredGradients: () => this.gradients.squaredAt(trial, layout, left, round === 0),
    });
  }

  private plannedRows(waiting: Trial[]): number {
    const rows = this.loaded.split('train').offsets.length - 1;
    return waiting
      .filter(({ prune }) => prune!.pruner !== Pruner.PRUNER_NONE)
      .reduce(
        (sum, { prune }) =>
          sum + densities(prune!).length * findScorer(prune!.pruner).plannedRows(prune!, rows),
        0,
      );
  }
}

function ones({ prunableShapes }: Layout): Masks {
  return mapped(prunableShapes, (shape) => new Uint8Array(elements(shape)).fill(1));
}

/**
 * A copy in which the weights that the masks remove are 0. Prunable weights come first in the
 * vector.
 */
function masked(weights: Float32Array, masks: Masks): Float32Array {
  const result = weights.slice();
  let at = 0;
  for (const mask of Object.values(masks)) for (const kept of mask) result[at++]! *= kept;
  return result;
}
