/**
 * Computes recorded cases of the published code with the TensorFlow.js engine's own modules, for
 * published_tfjs.py to compare: `node dist/test/fidelity/published-tfjs.js`, with TensorFlow.js in
 * SA_ORCH_TFJS_NODE. Each line of the input is a Question, each line of the output its Answer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../common/safetensors';
import { JobSpec, MaskControl, type Train } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { readSplit } from '../../trainer/host/splits';
import { StepParts } from '../../trainer/host/step-parts';
import { isRoundDue, learningRate } from '../../trainer/host/train';
import { loadBackbone, type Backbone } from '../../trainer/tfjs/backbone';
import { isDuringTraining } from '../../trainer/host/trial-files';
import { densitiesTo } from '../../trainer/tfjs/densities';
import type { Layout } from '../../trainer/tfjs/layout';
import { LoadedJob } from '../../trainer/tfjs/loaded-job';
import { lossAndGradient, predict } from '../../trainer/tfjs/model';
import { OfficialRules } from '../../trainer/tfjs/official-rules';
import { PrunedTrial } from '../../trainer/tfjs/pruned-trial';
import { RoundScores } from '../../trainer/tfjs/round-scores';
import { flattened, TrainedTrial } from '../../trainer/tfjs/trial-model';

interface Question {
  /** The artifact root, with the rows as the split `train`. */
  root: string;
  /** A JobSpec's JSON, of one trial. */
  spec: unknown;
  /**
   * Only the shapes are asked for; or one pass over all rows; or the rounds of pruning, which end
   * at each of `densities`; or the steps of a training.
   */
  what: 'shapes' | 'pass' | 'rounds' | 'steps';
  /** A safetensors file of the trial's tensors; removed weights are 0. */
  weights: string;
  /** The rows that weights are scored on, in this order. */
  scoring: number[];
  densities: number[];
  /** The rows of each batch, of an epoch, and the steps after which weights are told. */
  batches: number[][];
  epochRows: number;
  snapshots: number[];
  /** Where the computed tensors go. */
  out: string;
}

type Details = Omit<Question, 'root' | 'spec' | 'what'>;

interface Answer {
  shapes: Record<string, readonly number[]>;
  trained: string[];
}

const backbones = new Map<string, Backbone>();

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await compute(JSON.parse(line) as Question);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

async function compute({ root, spec: json, what, ...asked }: Question): Promise<Answer> {
  const spec = JobSpec.fromJSON(json);
  const { path } = spec.backbone!;
  const backbone = backbones.get(path) ?? loadBackbone(path);
  backbones.set(path, backbone);
  const split = readSplit(root, spec.dataset!, 'train', backbone);
  const loaded = new LoadedJob(spec, backbone, new Map([['train', split]]));
  const layout = loaded.layout(spec.trials[0]!);
  if (what !== 'shapes') {
    const weights = flattened(layout, decodeSafetensors(readFileSync(asked.weights)));
    const model = { loaded, spec, layout, weights };
    const found =
      what === 'pass'
        ? pass(model)
        : what === 'rounds'
          ? await prune(model, asked)
          : await train(model, asked);
    writeFileSync(asked.out, encodeSafetensors(found));
  }
  const { shapes, frozen } = layout;
  return { shapes, trained: Object.keys(shapes).filter((name) => !frozen.has(name)) };
}

interface Model {
  loaded: LoadedJob;
  spec: JobSpec;
  layout: Layout;
  weights: Float32Array;
}

/** `logits` in the order of the rows, `loss` [1], and `gradient.<name>` of what is trained. */
function pass({ loaded, spec, layout, weights }: Model): Record<string, Tensor> {
  const parts = loaded.parts(spec.trials[0]!, layout, 'train');
  const rows = Array.from({ length: parts.split.rows }, (_, row) => row);
  const logits = predict(parts, weights, rows).flatMap((each) => [...each]);
  const { loss, gradients } = lossAndGradient(
    parts,
    weights,
    rows,
    (name) => !layout.frozen.has(name),
  );
  const found: Record<string, Tensor> = { logits: vector(logits), loss: vector([loss]) };
  for (const [name, data] of Object.entries(gradients))
    found[`gradient.${name}`] = { shape: layout.shapes[name]!, data };
  return found;
}

/** Steps over recorded batches. */
class RecordedParts extends StepParts {
  constructor(
    train: Train,
    rows: number,
    seed: number,
    private readonly batches: number[][],
  ) {
    super(train, rows, seed);
  }

  protected override batchOf(index: number): Int32Array {
    return Int32Array.from(this.batches[index]!);
  }
}

/** The trial's scores, over these rows in place of those that it would draw. */
function scorerOn({ loaded, spec }: Model, rows: number[]): RoundScores {
  const passed = (): Promise<void> => Promise.resolve();
  const passes = { passed, reused: passed };
  return new RoundScores(loaded, spec.dataset!, passes, Int32Array.from(rows));
}

/**
 * For the i-th density and each round k, from 0: `score.<i>.<k>.<name>` as the rules compare them,
 * and `mask.<i>.<k>.<name>` after it.
 */
async function prune(
  model: Model,
  { scoring, densities }: Details,
): Promise<Record<string, Tensor>> {
  const { layout, weights } = model;
  const [trial] = model.spec.trials;
  const found: Record<string, Tensor> = {};
  const scorer = scorerOn(model, scoring);
  for (const [i, density] of densities.entries()) {
    const prune = { ...trial!.prune!, sparsity: 1 - density };
    const { rounds: count, schedule } = prune;
    const after = densitiesTo(1 - prune.sparsity, count, schedule);
    const rounds = new OfficialRules(prune, layout.prunableShapes, after);
    // Scores are recorded before they are inverted.
    const plain = { ...prune, control: MaskControl.MASK_CONTROL_NONE };
    const compared = new OfficialRules(plain, layout.prunableShapes, after);
    for (let k = 0; !rounds.isDone; k++) {
      const before = { trial: { ...trial!, prune }, layout, weights, masks: rounds.masks, done: k };
      const { scores } = await scorer.find(before, false);
      for (const [name, own] of Object.entries(compared.compared(scores)))
        found[`score.${i}.${k}.${name}`] = {
          shape: layout.shapes[name]!,
          data: Float32Array.from(own),
        };
      rounds.keep(scores);
      for (const [name, data] of Object.entries(rounds.masks))
        found[`mask.${i}.${k}.${name}`] = { shape: layout.shapes[name]!, data: data.slice() };
    }
  }
  return found;
}

/** `losses` [steps], and `step<n>.<name>` of all tensors after the steps of `snapshots`. */
async function train(
  model: Model,
  { scoring, batches, epochRows, snapshots }: Details,
): Promise<Record<string, Tensor>> {
  const { loaded, layout, weights } = model;
  const trial = model.spec.trials[0]!;
  const { train: settings, prune } = trial;
  const mask = new Uint8Array(layout.prunable).fill(1);
  const trained = new TrainedTrial(trial, loaded.parts(trial, layout, 'train'), mask, weights);
  const scorer = scorerOn(model, scoring);
  const find: ConstructorParameters<typeof PrunedTrial>[3] = (scored) => scorer.find(scored, false);
  // A trial that is not pruned may have nothing to prune.
  const pruned = isDuringTraining(prune!) && new PrunedTrial(trial, layout, trained, find);
  const found: Record<string, Tensor> = {};
  const losses: number[] = [];
  const steps = new RecordedParts(settings!, epochRows, trial.seed, batches);
  let rounds = 0;
  for (let step = 1; step <= settings!.totalSteps; step++) {
    if (pruned && isRoundDue(prune!, { step: step - 1, rounds }))
      await pruned.prune(rounds++, () => Promise.resolve());
    losses.push(trained.step(steps.next(step - 1), step, learningRate(settings!, step)).loss);
    if (!snapshots.includes(step)) continue;
    for (const [name, tensor] of Object.entries(trained.state()))
      if (name in layout.shapes) found[`step${step}.${name}`] = tensor;
  }
  return { ...found, losses: vector(losses) };
}

const vector = (values: number[]): Tensor => ({
  shape: [values.length],
  data: Float32Array.from(values),
});

void main();
