/** The rounds of a trial that is pruned during training (Prune.every_steps of job.proto). */
import type { Tensor } from '../../common/safetensors';
import type { Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { PrunedModel } from '../host/training';
import { densitiesTo } from './densities';
import { makeViews, type Layout } from './layout';
import { OfficialRules } from './official-rules';
import { Ranking, type Masks, type Scores } from './ranking';
import type { FoundScores, Scored } from './round-scores';
import type { TrainedTrial } from './trial-model';

/** Scores a round; see RoundScores. */
type FindScores = (scored: Scored, passed: Passed) => Promise<FoundScores>;
type Passed = (rows: number) => Promise<void>;

export class PrunedTrial implements PrunedModel {
  /** By exact rules, which remember what rounds have kept. */
  private readonly ranking: Ranking | undefined;

  /** rounds: those that left the model's present masks. */
  constructor(
    private readonly trial: Trial,
    private readonly layout: Layout,
    private readonly model: TrainedTrial,
    private readonly findScores: FindScores,
  ) {
    const { prune, seed } = trial;
    if (prune!.repeats === 0) this.ranking = new Ranking(prune!, seed, layout.prunableShapes);
  }

  async prune(done: number, passed: Passed): Promise<number> {
    if (this.ranking) await this.oneRound(this.ranking, done, passed);
    else await this.allRounds(done, passed);
    const { prunable } = this.layout;
    return this.model.mask.reduce((sum, kept) => sum + kept, 0) / prunable;
  }

  masks(): Record<string, Tensor<Uint8Array>> {
    const { prunableShapes: shapes } = this.layout;
    const views = Object.entries(makeViews(shapes, this.model.mask));
    return Object.fromEntries(
      views.map(([name, view]) => [name, { shape: shapes[name]!, data: view.slice() }]),
    );
  }

  private async oneRound(ranking: Ranking, done: number, passed: Passed): Promise<void> {
    // Interrupted rounds and checkpoints leave another number behind.
    if (ranking.roundsDone !== done)
      ranking.goOn(makeViews(this.layout.prunableShapes, this.model.mask), done);
    if (ranking.keepsAll) ranking.skip();
    else ranking.keep((await this.find(ranking.masks, done, passed)).scores);
    this.model.remove(this.flat(ranking.masks));
  }

  /** All rounds that take place together, the time after `done` others (Prune.repeats). */
  private async allRounds(done: number, passed: Passed): Promise<void> {
    const { prunableShapes } = this.layout;
    const { sparsity, repeats, rounds: count, schedule } = this.trial.prune!;
    const final = (1 - sparsity) ** ((done + 1) / repeats);
    const rounds = new OfficialRules(
      this.trial.prune!,
      prunableShapes,
      densitiesTo(final, count, schedule),
    );
    const left: Readonly<Record<string, Float32Array>>[] = [];
    for (let round = 0; !rounds.isDone; round++) {
      const found = await this.find(rounds.masks, round, passed);
      rounds.keep(found.scores);
      left.push(found.left);
    }
    this.model.remove(this.flat(rounds.finished()));
    this.model.addToNextGradient(left);
  }

  private find(
    masks: Masks,
    done: number,
    passed: Passed,
  ): Promise<{ scores: Scores } & FoundScores> {
    const { trial, layout, model } = this;
    return this.findScores({ trial, layout, weights: model.parameters, masks, done }, passed);
  }

  private flat(masks: Masks): Uint8Array {
    const flat = new Uint8Array(this.layout.prunable);
    for (const [name, view] of Object.entries(makeViews(this.layout.prunableShapes, flat)))
      view.set(masks[name]!);
    return flat;
  }
}
