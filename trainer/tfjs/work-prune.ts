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
  isDuringTraining,
  readMaskOrigin,
  readMasks,
  writeMasks,
} from '../host/trial-files';
import type { LoadedJob } from './loaded-job';
import { densities } from './densities';
import type { ScoringStore } from './scoring-store';
import type { Layout } from './layout';
import { reportMasks, warnOfDoubts } from './mask-report';
import { findScorer } from './pruners';
import { mapped } from './pruners/scorer';
import type { Masks } from './ranking';
import { RoundScores } from './round-scores';
import { makeRounds } from './rounds';
import type { Passes } from './scoring-gradient';
import { countHeadRows, ScoringHeads } from './scoring-head';

/**
 * Runs a prune job. A trial that already has a mask from the same source is only reported. known:
 * gradients from earlier jobs with this backbone; this one adds its own.
 */
export async function runPrune(
  loaded: LoadedJob,
  spec: JobSpec,
  context: JobContext,
  known: ScoringStore,
): Promise<void> {
  const waiting = spec.trials.filter((trial) => !hasMasks(context.root, spec, trial));
  const job = new PruneJob(loaded, spec, context, waiting, known);
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
  private readonly scores: RoundScores;
  private readonly heads: ScoringHeads;

  constructor(
    private readonly loaded: LoadedJob,
    private readonly spec: JobSpec,
    private readonly context: JobContext,
    waiting: Trial[],
    known: ScoringStore,
  ) {
    this.pace = new Pace(context, Phase.PHASE_SCORE, this.plannedRows(waiting));
    const passes: Passes = {
      passed: async (rows) => {
        await this.pace.advance(rows, rows);
        this.pace.stopBetweenPasses();
      },
      reused: (rows, wasEarlier) =>
        wasEarlier ? this.pace.resume(rows) : this.pace.advance(0, rows),
    };
    this.scores = new RoundScores(loaded, spec.dataset!, passes, undefined, known);
    this.heads = new ScoringHeads(loaded, spec.dataset!, passes, known);
  }

  async prune(trial: Trial): Promise<void> {
    const layout = this.loaded.layout(trial);
    const shapes = layout.prunableShapes;
    const { masks, doubts } =
      trial.prune!.pruner === Pruner.PRUNER_NONE
        ? { masks: ones(layout), doubts: [] }
        : await this.ranked(trial, layout);
    const tensors = Object.entries(masks).map(([name, data]) => [
      name,
      { shape: shapes[name]!, data },
    ]);
    await writeMasks(
      this.context,
      this.spec,
      trial,
      Object.fromEntries(tensors) as Parameters<typeof writeMasks>[3],
      doubts,
    );
  }

  /** Reports the mask on disk. */
  report(trial: Trial): void {
    const { root } = this.context;
    const { trialId } = trial;
    const layout = this.loaded.layout(trial);
    warnOfDoubts(this.context, trialId, readMaskOrigin(root, trialId).slice(1));
    const masks = readMasks(root, trialId, layout.prunableShapes);
    const values = reportMasks(this.context, trialId, layout, masks);
    this.context.emit({
      $case: 'trialResult',
      value: describeResult(root, trialId, ['masks.safetensors'], values),
    });
  }

  /** The masks of a trial's rounds at initialization; of ones, if they are during training. */
  private async ranked(
    trial: Trial,
    layout: Layout,
  ): Promise<{ masks: Masks; doubts: readonly string[] }> {
    const rounds = makeRounds(trial.prune!, trial.seed, layout.prunableShapes);
    if (isDuringTraining(trial.prune!)) return { masks: rounds.masks, doubts: [] };
    const weights = await this.heads.start(trial, layout);
    for (let done = 0; !rounds.isDone; done++) {
      const before = { trial, layout, weights, masks: rounds.masks, done };
      rounds.keep((await this.scores.find(before, true)).scores);
    }
    return { masks: rounds.finished(), doubts: rounds.doubts };
  }

  private plannedRows(waiting: Trial[]): number {
    const rows = this.loaded.split('train').offsets.length - 1;
    return waiting
      .filter(({ prune }) => prune!.pruner !== Pruner.PRUNER_NONE && !isDuringTraining(prune!))
      .reduce((sum, trial) => {
        const prune = trial.prune!;
        const ofRound = findScorer(prune.pruner).plannedRows(prune, rows);
        return sum + countHeadRows(trial, rows) + densities(prune).length * ofRound;
      }, 0);
  }
}

function ones({ prunableShapes }: Layout): Masks {
  return mapped(prunableShapes, (shape) => new Uint8Array(elements(shape)).fill(1));
}
