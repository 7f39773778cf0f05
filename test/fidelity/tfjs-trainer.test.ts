/**
 * The TensorFlow.js trainer beside the PyTorch trainer: the same jobs on both, float32, dropout
 * off. Both draw from the same streams, so weights, orders of rows, ties and masks are the same,
 * and numbers differ by rounding only.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  type Tensor,
} from '../../common/safetensors';
import { packageRoot } from '../../common/package';
import {
  Activation,
  AttentionModule,
  JobSpec,
  Precision,
  Pruner,
  ScoringHead,
  TaskKind,
  type Dataset,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { sweepConfigFrom } from '../../orchestrator/config/load';
import { prepareDataset } from '../../orchestrator/tasks/prepare';
import { resolveDatasets } from '../../orchestrator/tasks/resolve';
import { resolveBackbone } from '../../orchestrator/runtime/backbone';
import { trial } from '../support/jobs';
import { atFfn, IN_PLACE, LATER_TRIALS, noDropout, published, TRIALS } from './tfjs-trials';
import { askPython, testIf } from '../support/reference';
import type { Answer } from '../support/run-engine';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { writeTinyDataset, writeTinyQuestions } from '../support/tiny-dataset';

const {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_TFJS: tfjs,
  SA_ORCH_TEST_BACKBONE: minilm,
  SA_ORCH_DATA: data,
} = process.env;
const onBoth = testIf('the TensorFlow.js trainer', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_TFJS: tfjs,
});
const onRealRows = testIf('the TensorFlow.js trainer', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_TFJS: tfjs,
  SA_ORCH_TEST_BACKBONE: minilm,
  SA_ORCH_DATA: data,
});
const alone = testIf('the TensorFlow.js trainer', { SA_ORCH_TEST_TFJS: tfjs });

const STEPS = 50;
/** Above every token of the tiny data set. */
const VOCABULARY = 12_001;

let scratch: string;
beforeEach(() => (scratch = mkdtempSync(join(tmpdir(), 'sa-orch-tfjs-'))));
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

type Work = NonNullable<JobSpec['work']>;

const PRUNE: Work = { $case: 'prune', value: {} };
const train = (checkpointEverySteps = 0): Work => ({
  $case: 'train',
  value: {
    untilStep: 0,
    checkpointEverySteps,
    logEverySteps: 1,
    keepCheckpoints: 2,
    checkpointSeconds: 0,
    maxSeconds: 0,
  },
});
const PREDICT: Work = {
  $case: 'predict',
  value: { splits: ['validation'], generation: undefined, atStep: 0 },
};

function buildSpec(backbone: string, dataset: Dataset, trials: Trial[], work: Work): unknown {
  return JobSpec.toJSON({
    backbone: { path: backbone, digest: 'b'.repeat(64) },
    dataset,
    trials,
    work,
    precision: Precision.PRECISION_FLOAT32,
  });
}

interface Request {
  root: string;
  spec: unknown;
  stopAfterEvents?: number;
}

/**
 * Answers of the TensorFlow.js engine. It runs in a process of its own, as in the trainer: Jest's
 * typed arrays are not Node's.
 */
function askTfjs(requests: Request[]): Answer[] {
  const dist = join(packageRoot(), 'dist');
  const program = [join(dist, 'test/support/run-engine.js'), join(dist, 'trainer/tfjs/engine.js')];
  return askPython(process.execPath, program, requests, { SA_ORCH_TFJS_NODE: tfjs }) as Answer[];
}

interface Told {
  trial: string;
  name: string;
  step: number;
  value: number;
}

function listMetrics({ events }: Answer): Told[] {
  const told = events as {
    metrics?: { metrics: { trialId: string; name: string; step: number; value?: number }[] };
  }[];
  return told.flatMap((event) =>
    (event.metrics?.metrics ?? []).map(({ trialId, value, ...rest }) => ({
      trial: trialId,
      value: value ?? 0,
      ...rest,
    })),
  );
}

const read = (root: string, trialId: string, file: string) =>
  decodeSafetensors(readFileSync(join(root, 'trials', trialId, file)));

function furthest(a: string, b: string, trialId: string, file: string, but: string[] = []): number {
  const [left, right] = [read(a, trialId, file), read(b, trialId, file)];
  expect([...right.keys()].sort()).toEqual([...left.keys()].sort());
  return Math.max(
    ...[...left.keys()]
      .filter((name) => !but.includes(name))
      .map((name) => {
        const [x, y] = [float32Tensor(left, name).data, float32Tensor(right, name).data];
        return x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0);
      }),
  );
}

/**
 * How many entries of the trials' masks differ: none of a small adapter's, and of a large one's at
 * most one in 10,000. Frameworks add up products in different orders, and one ReLU whose input is 0
 * but for rounding moves a lower layer's gradient by a ten-thousandth.
 */
function compareMasks(trials: Trial[], torchRoot: string, tfjsRoot: string): number {
  let differing = 0;
  for (const { trialId } of trials) {
    const [torch, tfjs] = [torchRoot, tfjsRoot].map((root) =>
      read(root, trialId, 'masks.safetensors'),
    );
    expect([...tfjs!.keys()].sort()).toEqual([...torch!.keys()].sort());
    let [own, entries] = [0, 0];
    for (const [name, { data }] of torch!) {
      const other = tfjs!.get(name)!.data;
      expect(other.length).toBe(data.length);
      for (let at = 0; at < data.length; at++) if (data[at] !== other[at]) own++;
      entries += data.length;
    }
    expect(own).toBeLessThanOrEqual(entries / 10_000);
    differing += own;
  }
  return differing;
}

/** Runs prune, train and predict on both trainers and compares what they tell and leave. */
function compare(backbone: string, dataset: Dataset, trials: Trial[], torchRoot: string): void {
  const tfjsRoot = join(scratch, 'tfjs');
  cpSync(torchRoot, tfjsRoot, { recursive: true });
  const jobs = [PRUNE, train(), PREDICT].map((work) => buildSpec(backbone, dataset, trials, work));
  const script = join(packageRoot(), 'test/fidelity/trainer_reference.py');
  const torch = askPython(
    python!,
    [script],
    jobs.map((spec) => ({ root: torchRoot, spec })),
  ) as { metrics: Told[]; failures: object }[];
  let tensorflow = askTfjs(jobs.map((spec) => ({ root: tfjsRoot, spec })));
  expect(torch.map(({ failures }) => failures)).toEqual([{}, {}, {}]);
  expect(tensorflow.map(({ failure }) => failure)).toEqual([undefined, undefined, undefined]);
  if (compareMasks(trials, torchRoot, tfjsRoot) > 0) {
    // What follows is about training from equal masks.
    for (const { trialId } of trials) {
      cpSync(
        join(torchRoot, 'trials', trialId, 'masks.safetensors'),
        join(tfjsRoot, 'trials', trialId, 'masks.safetensors'),
      );
    }
    tensorflow = [
      tensorflow[0]!,
      ...askTfjs(jobs.slice(1).map((spec) => ({ root: tfjsRoot, spec }))),
    ];
  }
  const findLoss = (told: Told[], trialId: string, step: number) =>
    told.find((each) => each.trial === trialId && each.name === 'loss' && each.step === step)!
      .value;
  for (const { trialId, train: settings } of trials) {
    for (let step = 1; step <= Math.min(10, settings!.totalSteps); step++) {
      const [ours, theirs] = [
        findLoss(listMetrics(tensorflow[1]!), trialId, step),
        findLoss(torch[1]!.metrics, trialId, step),
      ];
      expect(Math.abs(ours - theirs)).toBeLessThan(1e-5);
    }
    // A bias of all tokens' logits changes no span's loss: its gradient is rounding, which AdamW
    // makes steps of the learning rate from.
    const isSpans = dataset.taskKind === TaskKind.TASK_KIND_QUESTION_ANSWERING;
    const free = isSpans ? ['head.out.bias'] : [];
    expect(
      furthest(torchRoot, tfjsRoot, trialId, 'adapter/adapter_model.safetensors', free),
    ).toBeLessThan(1e-3);
    const shift = isSpans
      ? furthest(torchRoot, tfjsRoot, trialId, 'adapter/adapter_model.safetensors')
      : 0;
    expect(
      furthest(torchRoot, tfjsRoot, trialId, 'predictions.validation.safetensors'),
    ).toBeLessThan(1e-3 + shift);
  }
}

onBoth(
  'every adapter form and pruner: PyTorch’s masks, its losses to 1e-5 and its weights after ' +
    '50 steps to 1e-3',
  () => {
    const root = join(scratch, 'torch');
    const dataset = writeTinyDataset(root);
    writeTinyBackbone(join(scratch, 'bert'), 'bert', VOCABULARY);
    compare(join(scratch, 'bert'), dataset, TRIALS, root);
  },
);

onBoth.each(['bert', 'roberta'] as const)('every later field likewise, on a %s', (type) => {
  const root = join(scratch, 'torch');
  const dataset = writeTinyDataset(root);
  writeTinyBackbone(join(scratch, type), type, VOCABULARY);
  compare(join(scratch, type), dataset, LATER_TRIALS, root);
});

onBoth.each(IN_PLACE.map((each) => [each.trialId, each] as const))(
  'the backbone’s own tensors likewise: %s',
  (_, each) => {
    const root = join(scratch, 'torch');
    const dataset = writeTinyDataset(root);
    writeTinyBackbone(join(scratch, 'bert'), 'bert', VOCABULARY);
    compare(join(scratch, 'bert'), dataset, [each], root);
  },
);

onBoth('a RoBERTa, whose positions begin after padding, likewise', () => {
  const root = join(scratch, 'torch');
  const dataset = writeTinyDataset(root);
  writeTinyBackbone(join(scratch, 'roberta'), 'roberta', VOCABULARY);
  compare(
    join(scratch, 'roberta'),
    dataset,
    [trial('roberta', { train: { ...noDropout, totalSteps: 10 } })],
    root,
  );
});

onBoth.each([
  [TaskKind.TASK_KIND_REGRESSION, 1, 'numbers'],
  [TaskKind.TASK_KIND_QUESTION_ANSWERING, 2, 'spans'],
])('task kind %i likewise, with %i outputs: %s', (taskKind, numLabels) => {
  const root = join(scratch, 'torch');
  const dataset = { ...writeTinyDataset(root), taskKind, numLabels };
  for (const split of ['train', 'validation'])
    relabel(join(root, dataset.name, `${split}.safetensors`), taskKind);
  writeTinyBackbone(join(scratch, 'bert'), 'bert', VOCABULARY);
  compare(
    join(scratch, 'bert'),
    dataset,
    [trial('other-kind', { train: { ...noDropout, totalSteps: 10 } })],
    root,
  );
});

onBoth('every pruner that reads rows makes PyTorch’s masks, with every head to score with', () => {
  const prior = { scoringHead: ScoringHead.SCORING_HEAD_PRIOR };
  // Of 40 rows a batch has 32, and the next one the other 8.
  const warmedUp = {
    ...{ scoringHead: ScoringHead.SCORING_HEAD_WARMED_UP, scoringHeadSteps: 5 },
    scoringRows: 40,
  };
  const ofClasses = [
    trial('snip-prior', { prune: prior }),
    trial('gradient', { prune: { pruner: Pruner.PRUNER_GRADIENT } }),
    trial('fisher', { prune: { pruner: Pruner.PRUNER_FISHER } }),
    trial('fisher-prior', { prune: { pruner: Pruner.PRUNER_FISHER, rounds: 2, ...prior } }),
    trial('skeleton', { prune: { pruner: Pruner.PRUNER_SKELETON } }),
    trial('snip-drawn', { prune: { scoringRows: warmedUp.scoringRows } }),
    trial('snip-warmed-up', { prune: warmedUp }),
    trial('fisher-warmed-up', { prune: { pruner: Pruner.PRUNER_FISHER, rounds: 2, ...warmedUp } }),
    trial('smoothed', { prune: warmedUp, train: { labelSmoothing: 0.1 } }),
    trial('frozen', { prune: warmedUp, adapter: { frozen: ['head.dense.*'] } }),
    // A prefix's MLP needs tensors that the head's steps do not have.
    trial('prefix', {
      prune: warmedUp,
      adapter: { attention: AttentionModule.ATTENTION_MODULE_PREFIX, prefixHidden: 4 },
    }),
  ];
  const ofNumbers = [
    trial('numbers', { prune: prior }),
    trial('numbers-warmed-up', { prune: warmedUp }),
  ];
  const ofSpans = [trial('spans-warmed-up', { prune: warmedUp })];
  const [torchRoot, tfjsRoot] = [join(scratch, 'torch'), join(scratch, 'tfjs')];
  const classes = writeTinyDataset(torchRoot);
  const digest = '0123456789abcdef';
  const numbers = {
    ...{ name: `datasets/${digest}`, digest, numLabels: 1 },
    taskKind: TaskKind.TASK_KIND_REGRESSION,
  };
  cpSync(join(torchRoot, classes.name), join(torchRoot, numbers.name), { recursive: true });
  relabel(join(torchRoot, numbers.name, 'train.safetensors'), numbers.taskKind);
  const spans = writeTinyQuestions(torchRoot);
  cpSync(torchRoot, tfjsRoot, { recursive: true });
  const backbone = join(scratch, 'bert');
  writeTinyBackbone(backbone, 'bert', VOCABULARY);
  const specs = [
    buildSpec(backbone, classes, ofClasses, PRUNE),
    buildSpec(backbone, numbers, ofNumbers, PRUNE),
    buildSpec(backbone, spans, ofSpans, PRUNE),
  ];
  const script = join(packageRoot(), 'test/fidelity/trainer_reference.py');
  const requests = (root: string) => specs.map((spec) => ({ root, spec }));
  expect(askPython(python!, [script], requests(torchRoot))).toMatchObject([
    { failures: {} },
    { failures: {} },
    { failures: {} },
  ]);
  const told = askTfjs(requests(tfjsRoot));
  expect(told.map(({ failure }) => failure)).toEqual([undefined, undefined, undefined]);
  const all = [...ofClasses, ...ofNumbers, ...ofSpans];
  expect(compareMasks(all, torchRoot, tfjsRoot)).toBe(0);
  const [drawn, warm] = ['snip-drawn', 'snip-warmed-up'].map((id) =>
    [...read(tfjsRoot, id, 'masks.safetensors').values()].map(({ data }) => data),
  );
  expect(warm).not.toEqual(drawn);
});

/**
 * Gives a split's rows labels of another kind: numbers, or the places of a first and a last token.
 */
function relabel(path: string, taskKind: TaskKind): void {
  const { labels, ...tensors } = Object.fromEntries(decodeSafetensors(readFileSync(path)));
  const { shape, data } = labels!;
  const places = (place: number) => ({ shape, data: new Int32Array(data.length).fill(place) });
  const isRegression = taskKind === TaskKind.TASK_KIND_REGRESSION;
  const learned: Record<string, Tensor> = isRegression
    ? {
        labels: {
          shape,
          data: Float32Array.from({ length: data.length }, (_, row) => (row % 7) / 3),
        },
      }
    : { start_positions: places(1), end_positions: places(3) };
  writeFileSync(path, encodeSafetensors({ ...tensors, ...learned }));
}

onRealRows('all-MiniLM-L6-v2 on rows of MRPC likewise', async () => {
  const root = join(scratch, 'torch');
  const config = sweepConfigFrom('real', { tasks: 'mrpc', rows: 400, validation_rows: 40 });
  const resolved = await resolveBackbone(minilm!, { onProgress: () => {} });
  const [planned] = await resolveDatasets(config, { dataDir: data!, env: {}, backbone: resolved });
  const { path, digest, num_labels: numLabels } = await prepareDataset(planned!, minilm!, root);
  const dataset = {
    name: relative(root, path),
    digest,
    taskKind: TaskKind.TASK_KIND_CLASSIFICATION,
    numLabels,
  };
  // With the usual 1e-8, AdamW makes steps of full size of gradients that are rounding alone.
  const settings = { ...noDropout, totalSteps: STEPS, adamEpsilon: 1e-6 };
  // Of so many values some ReLU's input is 0 but for rounding, and its gradient all or nothing: the
  // frameworks then part by more than rounding. The tiny trials have ReLUs, too.
  const adapter = {
    attentionBottleneck: 64,
    ffnBottleneck: 64,
    activation: Activation.ACTIVATION_SWISH,
  };
  compare(
    minilm!,
    dataset,
    [
      trial('real', {
        adapter,
        prune: { sparsity: 0.4, scoringRows: 128 },
        train: settings,
      }),
    ],
    root,
  );
});

alone(
  'a training that is stopped and goes on ends with the bits of one that was not stopped, ' +
    'dropout on',
  () => {
    const [whole, cut] = [join(scratch, 'whole'), join(scratch, 'cut')];
    writeTinyBackbone(join(scratch, 'bert'), 'bert', VOCABULARY);
    const dropped = { totalSteps: 16, dropout: 0.1, attentionDropout: 0.1 };
    const trials = [
      trial('one', { train: dropped }),
      trial('other', {
        adapter: { ...atFfn, innerDropout: true, ffnAfterDropout: true, frozen: ['head.*'] },
        train: { ...published, ...dropped, accumulatedBatches: 2, lossParts: 2 },
      }),
      ...LATER_TRIALS.filter(({ trialId }) =>
        ['later-2', 'later-4', 'published-4'].includes(trialId),
      ).map((each) => ({ ...each, train: { ...each.train!, ...dropped } })),
    ];
    const jobs = (root: string, works: Work[], stopAfterEvents?: number): Request[] => {
      const dataset = writeTinyDataset(root);
      return works.map((work) => ({
        root,
        spec: buildSpec(join(scratch, 'bert'), dataset, trials, work),
        stopAfterEvents,
      }));
    };
    const [, straight] = askTfjs(jobs(whole, [PRUNE, train()]));
    expect(straight!.failure).toBeUndefined();
    const answers = askTfjs([...jobs(cut, [PRUNE]), ...jobs(cut, [train()], 8)]);
    expect(answers[1]!.interrupted).toBe(true);
    for (let interrupted = true; interrupted;) {
      const [resumed] = askTfjs(jobs(cut, [train()], 30));
      expect(resumed!.failure).toBeUndefined();
      interrupted = resumed!.interrupted ?? false;
    }
    for (const { trialId } of trials) {
      const readAdapter = (root: string) =>
        readFileSync(join(root, 'trials', trialId, 'adapter/adapter_model.safetensors'));
      expect(readAdapter(cut).equals(readAdapter(whole))).toBe(true);
    }
  },
);

alone('1,000 steps leave no tensor behind', () => {
  const root = join(scratch, 'root');
  const dataset = writeTinyDataset(root);
  writeTinyBackbone(join(scratch, 'bert'), 'bert', VOCABULARY);
  const dropped = { batchSize: 2, dropout: 0.1, attentionDropout: 0.1 };
  const long = (trialId: string, totalSteps: number) => [
    trial(trialId, { train: { totalSteps, ...dropped } }),
  ];
  const others = [...LATER_TRIALS, ...IN_PLACE].map((each) => [
    { ...each, train: { ...each.train!, totalSteps: 3, ...dropped } },
  ]);
  const requests = [long('short', 2), long('long', 1000), ...others].flatMap((trials) =>
    [PRUNE, train(), PREDICT].map((work) => ({
      root,
      spec: buildSpec(join(scratch, 'bert'), dataset, trials, work),
    })),
  );
  const tensors = askTfjs(requests).map((answer) => answer.tensors);
  expect(new Set(tensors).size).toBe(1);
});
