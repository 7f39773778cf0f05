/**
 * The loop over a job's training steps, one trial after the other: which rows, at which learning
 * rate, what is reported and what is kept on disk.
 */
import { LEARNING_RATE_SCHEDULES } from '../../common/vocabulary/learning-rate-schedules';
import { getRow } from '../../common/vocabulary/vocabulary';
import {
  FailureReason,
  Phase,
  type Environment,
  type Metric,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { Adapter, Prune, taskKindToJSON, Train } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { JobSpec, TrainWork, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CheckpointClock } from './checkpoint-clock';
import {
  finishedTraining,
  newestCheckpoint,
  removeCheckpoints,
  writeAdapter,
  writeCheckpoint,
  type Position,
} from './checkpoints';
import { EngineFailure, Interrupted, type JobContext } from './engine';
import { continueIn } from './environment';
import { Pace } from './pace';
import { StepParts } from './step-parts';
import {
  describeFailure,
  describeResult,
  isDuringTraining,
  trainedPlace,
  trainingSource,
} from './trial-files';
import type { Training, TrialModel } from './training';

/**
 * Trains each trial in turn. Throws Interrupted, after a checkpoint of the trial in training, or
 * Aborted.
 */
export async function trainTrials(
  spec: JobSpec,
  work: TrainWork,
  context: JobContext,
  training: Training,
): Promise<void> {
  const untils = new Map(spec.trials.map((trial) => [trial.trialId, findLastStep(trial, work)]));
  const total = [...untils.values()].reduce((sum, until) => sum + until, 0);
  const pace = new Pace(context, Phase.PHASE_TRAIN, total);
  for (const trial of spec.trials) {
    try {
      await new TrialRun(
        spec,
        work,
        context,
        training,
        trial,
        untils.get(trial.trialId)!,
        pace,
      ).run();
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error;
      const value = describeFailure(trial.trialId, error.failure());
      context.emit({ $case: 'trialResult', value });
    }
  }
}

/**
 * The learning rate of a step, counted from 1, as in Train of job.proto: after step − 1 updates, so
 * with warm-up it starts at 0.
 */
export function learningRate(train: Train, step: number): number {
  const [done, warmup] = [step - 1, Math.ceil(train.warmup * train.totalSteps)];
  if (done < warmup) return (train.learningRate * done) / warmup;
  const { rateAfterWarmup } = getRow(LEARNING_RATE_SCHEDULES, train.schedule);
  return rateAfterWarmup(train.learningRate, train.totalSteps - done, train.totalSteps - warmup);
}

/** Whether a round of pruning comes before the next step. */
export function isRoundDue(
  prune: Prune,
  { step, rounds }: Pick<Position, 'step' | 'rounds'>,
): boolean {
  if (!isDuringTraining(prune) || rounds === (prune.repeats || prune.rounds)) return false;
  return step === prune.beginStep + rounds * prune.everySteps;
}

const findLastStep = ({ train }: Trial, { untilStep }: TrainWork): number =>
  Math.min(untilStep || train!.totalSteps, train!.totalSteps);

class TrialRun {
  private readonly train: Train;
  private readonly clock: CheckpointClock;
  private readonly parts: StepParts;
  /** What trained the steps so far, in order. */
  private environments: Environment[];

  constructor(
    private readonly spec: JobSpec,
    private readonly work: TrainWork,
    private readonly context: JobContext,
    private readonly training: Training,
    private readonly trial: Trial,
    private readonly until: number,
    private readonly pace: Pace,
  ) {
    this.train = trial.train!;
    this.environments = [context.environment];
    this.parts = new StepParts(this.train, training.rows, trial.seed);
    this.clock = new CheckpointClock(work.checkpointSeconds);
  }

  /** Trains from the newest checkpoint, or reports the adapter if it is already there. */
  async run(): Promise<void> {
    const { context, trial, until } = this;
    const source = trainingSource(context.root, this.spec, trial);
    const hasMasks = isDuringTraining(trial.prune!);
    const finished = finishedTraining(context.root, trial, source, until, hasMasks);
    if (finished) {
      await this.pace.resume(until);
      this.removeIfOver(finished);
      return this.report(finished);
    }
    const { checkpoint, passedOver } = newestCheckpoint(
      context.root,
      trial.trialId,
      source,
      until,
      this.training.stateShapes(trial),
    );
    for (const why of passedOver) this.warn('checkpoint_passed_over', why);
    if (checkpoint) {
      this.warnOfChanges(checkpoint.environments.at(-1)!.details);
      this.environments = continueIn(checkpoint.environments, context.environment);
    }
    const position = checkpoint?.position ?? {
      source,
      step: 0,
      rows: 0,
      seconds: 0,
      lossSum: 0,
      lossRows: 0,
      rounds: 0,
    };
    const model = await this.training.start(trial, checkpoint?.state);
    try {
      if (position.step > 0) await this.pace.resume(position.step);
      while (position.step < until) {
        await this.requireTime(model, position);
        if (isRoundDue(trial.prune!, position)) await this.prune(model, position);
        await this.turn(model, position);
      }
      await this.finish(model, position);
    } finally {
      model.dispose?.();
    }
  }

  /**
   * One step, its metrics, and its checkpoint if one is due. After the last of all there is none:
   * the adapter comes at once, and nothing continues.
   */
  private async turn(model: TrialModel, position: Position): Promise<void> {
    const { trialId } = this.trial;
    const parts = this.parts.next(position.step);
    const rows = parts.reduce((sum, part) => sum + part.rows.length, 0);
    const began = performance.now();
    const step = position.step + 1;
    const { loss, gradientNorm } = await model.step(parts, step, learningRate(this.train, step));
    this.requireFinite(step, 'loss', loss);
    this.requireFinite(step, "the gradient's norm", gradientNorm);
    position.step = step;
    position.rows += rows;
    position.seconds += (performance.now() - began) / 1000;
    position.lossSum += loss * rows;
    position.lossRows += rows;
    await this.pace.advance(rows, 1, [{ trialId, step }]);
    const ended = step === this.until;
    // Metrics come before the checkpoint, after which they would not be computed again.
    if (ended || step % this.work.logEverySteps === 0) this.tellMetrics(position, gradientNorm);
    const { checkpointEverySteps: every } = this.work;
    const isDue = (every > 0 && step % every === 0) || this.clock.isDue();
    const isOver = step === this.train.totalSteps;
    if (!isOver && (ended || isDue || this.context.checkpointAsked))
      await this.checkpoint(model, position);
    if (this.context.checkpointAsked && !ended)
      throw new Interrupted('stopped on request, with a checkpoint');
  }

  /** The round that is due before the next step; a stop meanwhile comes after a checkpoint. */
  private async prune(model: TrialModel, position: Position): Promise<void> {
    const { trialId } = this.trial;
    const step = position.step + 1;
    const began = performance.now();
    const passed = async (rows: number): Promise<void> => {
      await this.pace.advance(rows, 0, [{ trialId, step: position.step }]);
      this.pace.stopBetweenPasses();
    };
    let value: number;
    try {
      value = await model.pruning!.prune(position.rounds, passed);
    } catch (error) {
      if (error instanceof Interrupted && position.step > 0) await this.checkpoint(model, position);
      if (!(error instanceof EngineFailure)) throw error;
      const rounds = this.trial.prune!.rounds;
      const at = `round ${position.rounds + 1} of ${rounds}, before step ${step}`;
      throw new EngineFailure(error.reason, `${at}: ${error.message}`);
    }
    position.rounds++;
    position.seconds += (performance.now() - began) / 1000;
    const metric: Metric = { trialId, name: 'density', step, value };
    this.context.emit({ $case: 'metrics', value: { metrics: [metric] } });
  }

  private tellMetrics(position: Position, gradientNorm: number): void {
    const { trialId } = this.trial;
    const values = {
      loss: position.lossSum / position.lossRows,
      learning_rate: learningRate(this.train, position.step),
      grad_norm: gradientNorm,
    };
    position.lossSum = position.lossRows = 0;
    const metrics: Metric[] = Object.entries(values).map(([name, value]) => ({
      trialId,
      name,
      step: position.step,
      value,
    }));
    this.context.emit({ $case: 'metrics', value: { metrics } });
  }

  private async checkpoint(model: TrialModel, position: Position): Promise<void> {
    const { root } = this.context;
    const { trialId } = this.trial;
    const checkpoint = {
      position,
      state: await model.state(),
      environments: this.environments,
    };
    const { artifact, seconds } = await this.context.writeWhenThereIsRoom(root, () => {
      const began = performance.now();
      const written = writeCheckpoint(root, trialId, checkpoint, this.work.keepCheckpoints);
      return { artifact: written, seconds: (performance.now() - began) / 1000 };
    });
    this.clock.wrote(seconds);
    this.context.emit({
      $case: 'checkpointWritten',
      value: { trialId, step: position.step, artifact },
    });
  }

  private async finish(model: TrialModel, position: Position): Promise<void> {
    const { root } = this.context;
    const adapter = await model.adapter();
    for (const [name, { data }] of Object.entries(adapter)) {
      const odd = data.find((value) => !Number.isFinite(value));
      if (odd !== undefined) this.requireFinite(position.step, `a weight of ${name}`, odd);
    }
    await this.context.writeWhenThereIsRoom(root, () =>
      writeAdapter(
        root,
        this.trial,
        adapter,
        this.config(),
        position,
        this.environments,
        model.pruning?.masks(),
      ),
    );
    this.removeIfOver(position);
    this.report(position);
  }

  /** Removes the checkpoints after the last step, from which nothing continues. */
  private removeIfOver({ step }: Position): void {
    if (step === this.train.totalSteps) removeCheckpoints(this.context.root, this.trial.trialId);
  }

  /**
   * The content of adapter_config.json, without timings, so that equal training gives an equal
   * digest.
   */
  private config(): Record<string, unknown> {
    const { dataset, backbone } = this.spec;
    const { seed, adapter, prune } = this.trial;
    return {
      base_model_digest: backbone!.digest,
      dataset_digest: dataset!.digest,
      task_kind: taskKindToJSON(dataset!.taskKind),
      num_labels: dataset!.numLabels,
      seed,
      adapter: Adapter.toJSON(adapter!),
      prune: Prune.toJSON(prune!),
      train: Train.toJSON(this.train),
      ...this.training.config(this.trial),
    };
  }

  /** Reports the adapter on disk. */
  private report({ step, rows, seconds }: Position): void {
    const { trialId } = this.trial;
    const adapter = `${trainedPlace(this.trial, step)}adapter`;
    const values = {
      ...{ steps: step, rows, wall_seconds: seconds, rows_per_second: rows / seconds },
      ...(isDuringTraining(this.trial.prune!)
        ? this.training.reportMasks!(this.trial, `${adapter}/masks.safetensors`)
        : {}),
    };
    this.context.emit({
      $case: 'trialResult',
      value: describeResult(this.context.root, trialId, [adapter], values),
    });
  }

  /** Fails a trial whose time is up, after a checkpoint from which a higher limit goes on. */
  private async requireTime(model: TrialModel, position: Position): Promise<void> {
    const { maxSeconds } = this.work;
    if (maxSeconds === 0 || position.seconds < maxSeconds) return;
    await this.checkpoint(model, position);
    const message =
      `the time limit of ${Number(maxSeconds.toPrecision(12))} s was reached ` +
      `at step ${position.step} of ${this.train.totalSteps}; ` +
      'with a higher limit it continues there';
    throw new EngineFailure(FailureReason.FAILURE_REASON_TIME_LIMIT, message);
  }

  private requireFinite(step: number, name: string, value: number): void {
    if (Number.isFinite(value)) return;
    const rate = this.train.learningRate;
    const message =
      `${name} is ${value} at step ${step}; ` + `a lower learning rate (now ${rate}) may help`;
    throw new EngineFailure(FailureReason.FAILURE_REASON_NON_FINITE, message);
  }

  private warnOfChanges(before: Record<string, string>): void {
    const now = this.context.environment.details;
    const changed = [...new Set([...Object.keys(before), ...Object.keys(now)])]
      .filter((name) => before[name] !== now[name])
      .sort()
      .map((name) => `${name} ${before[name] ?? 'unknown'} → ${now[name] ?? 'unknown'}`);
    if (changed.length === 0) return;
    const message =
      'continues in another environment than it began in, ' +
      `so last digits may differ from an unbroken run: ${changed.join(', ')}`;
    this.warn('environment_changed', message);
  }

  private warn(code: string, message: string): void {
    this.context.emit({ $case: 'warning', value: { trialId: this.trial.trialId, code, message } });
  }
}
