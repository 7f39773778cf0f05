/**
 * Computes recorded cases of the published code with the TensorFlow.js engine's own modules, for
 * published_tfjs.py to compare: `node dist/test/fidelity/published-tfjs.js`, with TensorFlow.js in
 * SA_ORCH_TFJS_NODE. Each line of the input is a Question, each line of the output its Answer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../common/safetensors';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { readSplit } from '../../trainer/host/splits';
import { learningRate } from '../../trainer/host/train';
import { loadBackbone, type Backbone } from '../../trainer/tfjs/backbone';
import type { Layout } from '../../trainer/tfjs/layout';
import { LoadedJob } from '../../trainer/tfjs/loaded-job';
import { lossAndGradient, predict } from '../../trainer/tfjs/model';
import { flattened, TrainedTrial } from '../../trainer/tfjs/trial-model';

interface Question {
  /** The artifact root, with the rows as the split `train`. */
  root: string;
  /** A JobSpec's JSON, of one trial. */
  spec: unknown;
  /** Only the shapes are asked for; or one pass over all rows; or the steps of a training. */
  what: 'shapes' | 'pass' | 'steps';
  /** A safetensors file of the trial's tensors; removed weights are 0. */
  weights: string;
  /** The rows of each step, and the steps after which weights are told. */
  batches: number[][];
  snapshots: number[];
  /** Where the computed tensors go. */
  out: string;
}

interface Answer {
  shapes: Record<string, readonly number[]>;
  trained: string[];
}

const backbones = new Map<string, Backbone>();

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = compute(JSON.parse(line) as Question);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

function compute({ root, spec: json, what, ...asked }: Question): Answer {
  const spec = JobSpec.fromJSON(json);
  const { path } = spec.backbone!;
  const backbone = backbones.get(path) ?? loadBackbone(path);
  backbones.set(path, backbone);
  const split = readSplit(root, spec.dataset!, 'train', backbone);
  const loaded = new LoadedJob(spec, backbone, new Map([['train', split]]));
  const layout = loaded.layout(spec.trials[0]!);
  if (what !== 'shapes') {
    const weights = flattened(layout, decodeSafetensors(readFileSync(asked.weights)));
    const found =
      what === 'pass'
        ? pass(loaded, spec, layout, weights)
        : train(loaded, spec, layout, weights, asked.batches, asked.snapshots);
    writeFileSync(asked.out, encodeSafetensors(found));
  }
  const { shapes, frozen } = layout;
  return { shapes, trained: Object.keys(shapes).filter((name) => !frozen.has(name)) };
}

/** `logits` in the order of the rows, `loss` [1], and `gradient.<name>` of what is trained. */
function pass(
  loaded: LoadedJob,
  { trials }: JobSpec,
  layout: Layout,
  weights: Float32Array,
): Record<string, Tensor> {
  const parts = loaded.parts(trials[0]!, layout, 'train');
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

/** `losses` [steps], and `step<n>.<name>` of all tensors after the steps of `snapshots`. */
function train(
  loaded: LoadedJob,
  { trials }: JobSpec,
  layout: Layout,
  weights: Float32Array,
  batches: number[][],
  snapshots: number[],
): Record<string, Tensor> {
  const [trial] = trials;
  const parts = loaded.parts(trial!, layout, 'train');
  const mask = new Uint8Array(layout.prunable).fill(1);
  const model = new TrainedTrial(trial!, parts, mask, weights);
  const found: Record<string, Tensor> = {};
  const losses = batches.map((rows, done) => {
    const step = done + 1;
    const rate = learningRate(trial!.train!, step);
    const part = { rows: Int32Array.from(rows), share: 1 };
    const { loss } = model.step([part], step, rate);
    if (snapshots.includes(step)) {
      for (const [name, tensor] of Object.entries(model.adapter()))
        found[`step${step}.${name}`] = tensor;
    }
    return loss;
  });
  return { ...found, losses: vector(losses) };
}

const vector = (values: number[]): Tensor => ({
  shape: [values.length],
  data: Float32Array.from(values),
});

void main();
