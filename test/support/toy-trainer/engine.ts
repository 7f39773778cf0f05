/**
 * About the smallest engine: it classifies by the head alone, h being a row's mean word embedding.
 * docs/trainer-plugin.md explains it.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { elements, type Tensor } from '../../../common/safetensors';
import { Phase } from '../../../gen/ts/sparse_adapter/trainer/v1/event';
import { TaskKind, type JobSpec, type Trial } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { readTensorsOf, requireFinite } from '../../../trainer/host/artifacts';
import { HEAD_ALONE, type Engine, type JobContext } from '../../../trainer/host/engine';
import { Pace } from '../../../trainer/host/pace';
import { randomFor } from '../../../trainer/host/random';
import { readSplit, requireLabels, type Split } from '../../../trainer/host/splits';
import type { StepPart } from '../../../trainer/host/step-parts';
import { trainTrials } from '../../../trainer/host/train';
import type { StepResult, TrialModel } from '../../../trainer/host/training';
import * as files from '../../../trainer/host/trial-files';

type Floats = Float32Array;
type Tensors = Record<string, Tensor<Floats>>;

const capabilities: Engine['capabilities'] = {
  ...{ framework: 'toy', frameworkVersion: '1.0', trainerVersion: '1.0' },
  ...{ maxCohort: 32, preferredCohort: Number(process.env.SA_ORCH_TOY_COHORT ?? 10) },
  environment: { toy: '1.0', dtype: 'float32', row_invariant: 'true' },
  devices: [
    {
      ...{ kind: 'cpu', name: 'one thread of JavaScript', threads: 1 },
      ...{ memoryBytes: totalmem(), memoryUsedBytes: 0 },
    },
  ],
  architectures: ['bert'],
  taskKinds: [TaskKind.TASK_KIND_CLASSIFICATION],
  ...HEAD_ALONE,
  fields: ['predict.at_step'],
};

export const createEngine = (): Promise<Engine> => Promise.resolve({ capabilities, run });

async function run(job: JobSpec, context: JobContext): Promise<void> {
  const { root } = context;
  const work = job.work!;
  const tellResult = ({ trialId }: Trial, names: string[], values: Record<string, number>): void =>
    context.emit({
      $case: 'trialResult',
      value: files.describeResult(root, trialId, names, values),
    });
  if (work.$case === 'prune') {
    for (const trial of job.trials) {
      if (!files.hasMasks(root, job, trial)) await files.writeMasks(context, job, trial, {}, []);
      tellResult(trial, ['masks.safetensors'], { achieved_sparsity: 0, kept: 0, prunable: 0 });
    }
  } else if (work.$case === 'train') {
    const bags = new Bags(root, job, 'train');
    requireLabels(bags.split, job.dataset!, 'train');
    await trainTrials(job, work.value, context, {
      rows: bags.split.rows,
      stateShapes: () => ({
        weights: [bags.size],
        first_moment: [bags.size],
        second_moment: [bags.size],
      }),
      start: (trial, state) => new Head(trial, bags, state),
      config: () => ({ base_model_type: 'bert' }),
    });
  } else {
    const splits = work.value.splits.map((name) => [name, new Bags(root, job, name)] as const);
    const pace = new Pace(
      context,
      Phase.PHASE_PREDICT,
      job.trials.length * splits.reduce((sum, [, { split }]) => sum + split.rows, 0),
    );
    for (const trial of job.trials) {
      for (const [name, bags] of splits) {
        if (!files.hasPredictions(root, job, trial, name))
          await files.writePredictions(context, job, trial, name, predict(root, job, trial, bags));
        await pace.advance(bags.split.rows, bags.split.rows);
        pace.stopBetweenPasses();
      }
      const names = work.value.splits.map((name) => files.predictionsFile(job, name));
      tellResult(trial, names, {});
    }
  }
}

/** A split, what is read of the backbone, and the shapes of a head on it. */
class Bags {
  readonly split: Split;
  readonly shapes: files.Shapes;
  readonly size: number;
  readonly pooler: Floats[];
  private readonly words: Floats;

  constructor(root: string, { backbone, dataset }: JobSpec, name: string) {
    const config = JSON.parse(readFileSync(join(backbone!.path, 'config.json'), 'utf8')) as Record<
      string,
      number
    >;
    const [vocabulary, d] = [config.vocab_size!, config.hidden_size!];
    const read = {
      'embeddings.word_embeddings.weight': [vocabulary, d],
      'pooler.dense.weight': [d, d],
      'pooler.dense.bias': [d],
    };
    const tensors = readTensorsOf(join(backbone!.path, 'model.safetensors'), read);
    for (const [name, { data }] of tensors)
      requireFinite(`backbone ${backbone!.path}`, name, data as Floats);
    const floats = [...tensors.values()].map(({ data }) => data);
    [this.words, ...this.pooler] = floats as [Floats, ...Floats[]];
    const labels = dataset!.numLabels;
    // Matrices first: they have weight decay.
    this.shapes = {
      'head.dense.weight': [d, d],
      'head.out.weight': [labels, d],
      'head.dense.bias': [d],
      'head.out.bias': [labels],
    };
    this.size = Object.values(this.shapes).reduce((sum, shape) => sum + elements(shape), 0);
    const limits = {
      vocabulary,
      tokenTypes: config.type_vocab_size!,
      longest: config.max_position_embeddings!,
    };
    this.split = readSplit(root, dataset!, name, limits);
  }

  mean(row: number): Floats {
    const { inputIds, offsets } = this.split;
    const ids = inputIds.subarray(offsets[row], offsets[row + 1]);
    const mean = new Float32Array(this.shapes['head.dense.bias']![0]!);
    for (const id of ids)
      for (let i = 0; i < mean.length; i++)
        mean[i]! += this.words[id * mean.length + i]! / ids.length;
    return mean;
  }
}

/** Tensors one after the other in one vector. */
function views(flat: Floats, shapes: files.Shapes): Tensors {
  let at = 0;
  const view = (shape: readonly number[]): Tensor<Floats> => ({
    shape: [...shape],
    data: flat.subarray(at, (at += elements(shape))),
  });
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, view(shape)]));
}

/** y = W x + b. */
function affine(head: Tensors, layer: string, x: Floats): Floats {
  const weight = head[`${layer}.weight`]!.data;
  return head[`${layer}.bias`]!.data.map((bias, i) =>
    x.reduce((sum, value, j) => sum + weight[i * x.length + j]! * value, bias),
  );
}

/** logits = out(dropout(tanh(dense(dropout(h))))); `drop` gives dropout's factors. */
function forward(head: Tensors, h: Floats, drop: (n: number) => Floats) {
  const [before, after] = [drop(h.length), drop(h.length)];
  const x = h.map((value, i) => value * before[i]!);
  const tanh = affine(head, 'head.dense', x).map(Math.tanh);
  const y = tanh.map((value, i) => value * after[i]!);
  return { x, tanh, after, y, logits: affine(head, 'head.out', y) };
}

function predict(root: string, job: JobSpec, trial: Trial, bags: Bags): Tensor<Floats> {
  const path = files.findWeights(root, job, trial);
  const head = Object.fromEntries(readTensorsOf(path, bags.shapes)) as Tensors;
  const keepAll = (n: number): Floats => new Float32Array(n).fill(1);
  const logits = Array.from({ length: bags.split.rows }, (_, row) => [
    ...forward(head, bags.mean(row), keepAll).logits,
  ]);
  return { shape: [logits.length, logits[0]!.length], data: Float32Array.from(logits.flat()) };
}

/** A trial's head in training. */
class Head implements TrialModel {
  private readonly vectors: Record<'weights' | 'first_moment' | 'second_moment', Floats>;

  constructor(
    private readonly trial: Trial,
    private readonly bags: Bags,
    state: Map<string, Tensor> | undefined,
  ) {
    const vector = (name: string): Floats =>
      (state?.get(name)?.data as Floats | undefined) ?? new Float32Array(bags.size);
    this.vectors = {
      weights: vector('weights'),
      first_moment: vector('first_moment'),
      second_moment: vector('second_moment'),
    };
    if (state) return;
    const head = views(this.vectors.weights, bags.shapes);
    for (const [i, layer] of ['weight', 'bias'].entries())
      head[`head.dense.${layer}`]!.data.set(bags.pooler[i]!);
    const random = randomFor(trial.seed, 'init', 'head.out.weight');
    // N(0, 0.02) by Box and Muller's formula.
    const draw = () =>
      0.02 *
      Math.sqrt(-2 * Math.log(1 - random.uniform())) *
      Math.cos(2 * Math.PI * random.uniform());
    head['head.out.weight']!.data.forEach((_, i, weight) => (weight[i] = draw()));
  }

  step([part]: readonly StepPart[], step: number, rate: number): StepResult {
    const { rows } = part!;
    const {
      dropout,
      maxGradNorm,
      adamBeta1: b1,
      adamBeta2: b2,
      adamEpsilon,
      weightDecay,
    } = this.trial.train!;
    const random = randomFor(this.trial.seed, 'dropout', step);
    const drop = (n: number): Floats =>
      new Float32Array(n).map(() => (random.uniform() < dropout ? 0 : 1 / (1 - dropout)));
    const { weights: w, first_moment: m, second_moment: v } = this.vectors;
    const gradient = new Float32Array(w.length);
    const loss = rows.reduce(
      (sum, row) => sum + this.backward(row, views(gradient, this.bags.shapes), rows.length, drop),
      0,
    );
    const gradientNorm = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
    const clip = maxGradNorm > 0 ? Math.min(1, maxGradNorm / gradientNorm) : 1;
    const decayed =
      elements(this.bags.shapes['head.dense.weight']!) +
      elements(this.bags.shapes['head.out.weight']!);
    for (let i = 0; i < w.length; i++) {
      m[i] = b1 * m[i]! + (1 - b1) * clip * gradient[i]!;
      v[i] = b2 * v[i]! + (1 - b2) * (clip * gradient[i]!) ** 2;
      const update = m[i]! / (1 - b1 ** step) / (Math.sqrt(v[i]! / (1 - b2 ** step)) + adamEpsilon);
      w[i]! -= rate * (update + (i < decayed ? weightDecay * w[i]! : 0));
    }
    return { loss, gradientNorm };
  }

  /** Adds a row's part of the gradient of the mean over n rows; returns its part of that mean. */
  private backward(row: number, gradient: Tensors, n: number, drop: (n: number) => Floats): number {
    const head = views(this.vectors.weights, this.bags.shapes);
    const { x, tanh, after, y, logits } = forward(head, this.bags.mean(row), drop);
    const label = this.bags.split.labels[0]![row]!;
    const largest = Math.max(...logits);
    const logSum =
      largest + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    const dLogits = logits.map(
      (value, i) => (Math.exp(value - logSum) - (i === label ? 1 : 0)) / n,
    );
    const out = head['head.out.weight']!.data;
    const dY = y.map((_, j) =>
      dLogits.reduce((sum, value, i) => sum + value * out[i * y.length + j]!, 0),
    );
    const dTanh = dY.map((value, j) => value * after[j]! * (1 - tanh[j]! ** 2));
    for (const [layer, delta, input] of [
      ['head.out', dLogits, y],
      ['head.dense', dTanh, x],
    ] as const) {
      const [weight, bias] = [gradient[`${layer}.weight`]!.data, gradient[`${layer}.bias`]!.data];
      for (let i = 0; i < delta.length; i++) {
        bias[i]! += delta[i]!;
        for (let j = 0; j < input.length; j++)
          weight[i * input.length + j]! += delta[i]! * input[j]!;
      }
    }
    return (logSum - logits[label]!) / n;
  }

  state(): Record<string, Tensor> {
    return Object.fromEntries(
      Object.entries(this.vectors).map(([name, data]) => [name, { shape: [data.length], data }]),
    );
  }

  adapter(): Tensors {
    return views(this.vectors.weights, this.bags.shapes);
  }
}
