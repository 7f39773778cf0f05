/**
 * Every form of adapter and every pruner: which tensors there are, and how many weights a mask
 * keeps.
 */
import { join } from 'node:path';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { listWords } from '../../common/vocabulary/vocabulary';
import {
  AdapterNorm,
  AttentionModule,
  FfnModule,
  MaskControl,
  Optimizer,
  PrefixUse,
  Pruner,
  PruneSchedule,
  Unfrozen,
  type Adapter,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { float32Tensor, readSafetensors } from '../../orchestrator/datasets/safetensors';
import { lacking, testOf } from '../support/abilities';
import { HEAD_ALONE, job, PRUNE, run, train, trial } from '../support/jobs';
import { describeStartedTrainer } from '../support/started-trainer';

/** The small backbone's. */
const LAYERS = 6;
const D = 384;
const F = 1536;
const TOKENS = 30522;
const POSITIONS = 512;
const LABELS = 2;

type Shapes = Record<string, number[]>;

const bottleneck = (site: string, r: number): Shapes => ({
  [`${site}.down.weight`]: [r, D],
  [`${site}.down.bias`]: [r],
  [`${site}.up.weight`]: [D, r],
  [`${site}.up.bias`]: [D],
});
const norm = (site: string): Shapes => ({
  [`${site}.norm.weight`]: [D],
  [`${site}.norm.bias`]: [D],
});
const tensorNorm = (name: string): Shapes => ({
  [`${name}.weight`]: [D],
  [`${name}.bias`]: [D],
});
const lora = (site: string, r: number, from: number, to: number): Shapes => ({
  [`${site}.down.weight`]: [r, from],
  [`${site}.up.weight`]: [to, r],
});
const biases = (sizes: Record<string, number>): Shapes =>
  Object.fromEntries(Object.entries(sizes).map(([name, size]) => [`${name}.bias`, [size]]));
/** But for the key's, which changes nothing. */
const BACKBONE_BIASES = {
  query: D,
  value: D,
  attention_output: D,
  ffn_in: F,
  ffn_out: D,
  attention_norm: D,
  ffn_norm: D,
};
const ATTENTION_LORA = { ...lora('query', 3, D, D), ...lora('value', 3, D, D) };

/**
 * Adapters with r = 3 beside attention and 2 beside the feed-forward block; what each layer has of
 * them, and what there is once.
 */
const FORMS: Record<string, { adapter: Partial<Adapter>; layer: Shapes; once?: Shapes }> = {
  sequential: {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
      ffn: FfnModule.FFN_MODULE_SEQUENTIAL,
    },
    layer: {
      ...bottleneck('attention', 3),
      ...norm('attention'),
      ...bottleneck('ffn', 2),
      ...norm('ffn'),
    },
  },
  parallel: {
    adapter: {
      ...{
        attention: AttentionModule.ATTENTION_MODULE_PARALLEL,
        ffn: FfnModule.FFN_MODULE_PARALLEL,
      },
      ...{ norm: AdapterNorm.ADAPTER_NORM_NONE, scale: 4 },
    },
    layer: { ...bottleneck('attention', 3), ...bottleneck('ffn', 2) },
  },
  'after-norm': {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_NONE,
      attentionBottleneck: 0,
      ffn: FfnModule.FFN_MODULE_AFTER_NORM,
    },
    layer: { ...bottleneck('ffn', 2), ...norm('ffn') },
  },
  lora: {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_LORA, ffn: FfnModule.FFN_MODULE_LORA },
    layer: { ...ATTENTION_LORA, ...lora('ffn_in', 2, D, F), ...lora('ffn_out', 2, F, D) },
  },
  'lora-parallel': {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_LORA,
      ffn: FfnModule.FFN_MODULE_PARALLEL,
      norm: AdapterNorm.ADAPTER_NORM_AFTER,
    },
    layer: { ...ATTENTION_LORA, ...bottleneck('ffn', 2), ...norm('ffn') },
  },
  prefix: {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_PREFIX,
      ffn: FfnModule.FFN_MODULE_NONE,
      ffnBottleneck: 0,
    },
    layer: { 'prefix.key': [3, D], 'prefix.value': [3, D] },
  },
  mam: {
    adapter: {
      ...{
        attention: AttentionModule.ATTENTION_MODULE_PREFIX,
        prefixHidden: 5,
        ffn: FfnModule.FFN_MODULE_PARALLEL,
        scale: 4,
      },
      norm: AdapterNorm.ADAPTER_NORM_NONE,
    },
    layer: bottleneck('ffn', 2),
    once: {
      'prefix.embedding': [3, D],
      'prefix.mlp.in.weight': [5, D],
      'prefix.mlp.in.bias': [5],
      'prefix.mlp.out.weight': [LAYERS * 2 * D, 5],
      'prefix.mlp.out.bias': [LAYERS * 2 * D],
    },
  },
  bitfit: {
    adapter: { ...HEAD_ALONE.adapter, unfrozen: Unfrozen.UNFROZEN_BIASES },
    layer: biases(BACKBONE_BIASES),
  },
  prompt: {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_PROMPT,
      ffn: FfnModule.FFN_MODULE_PARALLEL,
    },
    layer: { ...bottleneck('ffn', 2), ...norm('ffn') },
    once: { prompt: [3, D] },
  },
  full: {
    adapter: { ...HEAD_ALONE.adapter, unfrozen: Unfrozen.UNFROZEN_ALL },
    layer: {
      ...Object.fromEntries(
        ['query', 'key', 'value', 'attention_output'].map((name) => [`${name}.weight`, [D, D]]),
      ),
      ...{
        'ffn_in.weight': [F, D],
        'ffn_out.weight': [D, F],
        'attention_norm.weight': [D],
        'ffn_norm.weight': [D],
      },
      ...biases(BACKBONE_BIASES),
    },
    once: {
      'embeddings.word.weight': [TOKENS, D],
      'embeddings.position.weight': [POSITIONS, D],
      'embeddings.token_type.weight': [2, D],
      ...norm('embeddings'),
    },
  },
  'head-only': { adapter: HEAD_ALONE.adapter, layer: {} },
  'parallel-context': {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_PARALLEL_CONTEXT,
      attentionNorm: AdapterNorm.ADAPTER_NORM_NONE,
      ...{ ffnAfterDropout: true, innerDropout: true },
    },
    layer: { ...bottleneck('attention', 3), ...bottleneck('ffn', 2), ...norm('ffn') },
  },
  concat: {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_CONCAT,
      attentionNorm: AdapterNorm.ADAPTER_NORM_UPDATE,
      ...{ norm: AdapterNorm.ADAPTER_NORM_NONE, paddedTokens: 40 },
    },
    layer: { ...bottleneck('attention', 3), ...norm('attention'), ...bottleneck('ffn', 2) },
  },
  'trained-scale': {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_NONE,
      ...{ attentionBottleneck: 0, learnedScale: true },
    },
    layer: { ...bottleneck('ffn', 2), ...norm('ffn'), 'ffn.scale': [1] },
  },
  'prefix-apart': {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_PREFIX,
      ...{ ffn: FfnModule.FFN_MODULE_NONE, ffnBottleneck: 0 },
      prefixUse: PrefixUse.PREFIX_USE_CROSS,
    },
    layer: {
      ...{ 'prefix.key': [3, D], 'prefix.value': [3, D] },
      ...{ 'transform_norm.weight': [D], 'transform_norm.bias': [D] },
    },
  },
  'some-tensors': {
    adapter: { ...HEAD_ALONE.adapter, unfrozenTensors: ['layers.*_norm.*', 'embeddings.norm.*'] },
    layer: { ...tensorNorm('attention_norm'), ...tensorNorm('ffn_norm') },
    once: norm('embeddings'),
  },
};

function listShapes({ layer, once = {} }: (typeof FORMS)[string]): Shapes {
  const layers = Array.from({ length: LAYERS }, (_, i) =>
    Object.entries(layer).map(([name, shape]) => [`layers.${i}.${name}`, shape]),
  );
  return { ...(Object.fromEntries(layers.flat()) as Shapes), ...once };
}

const HEAD: Shapes = {
  'head.dense.weight': [D, D],
  'head.dense.bias': [D],
  'head.out.weight': [LABELS, D],
  'head.out.bias': [LABELS],
};

const isPrunable = (name: string) => /\.(down|up)\.weight$/.test(name);

function shapesIn(file: string): Shapes {
  return Object.fromEntries(
    [...readSafetensors(file)].map(([name, { shape }]) => [name, [...shape]]),
  );
}

describeStartedTrainer('a trainer with every adapter and pruner', (here) => {
  for (const [name, form] of Object.entries(FORMS)) {
    const prunable = Object.entries(listShapes(form)).filter(([tensor]) => isPrunable(tensor));
    const prune =
      prunable.length > 0
        ? { pruner: Pruner.PRUNER_MAG }
        : { pruner: Pruner.PRUNER_NONE, sparsity: 0 };
    const adapter = { attentionBottleneck: 3, ffnBottleneck: 2, ...form.adapter };
    const each = trial(`form-${name}`, { adapter, prune, train: { totalSteps: 2 } });
    testOf([each], `has exactly the tensors of the contract: ${name}`, async () => {
      await run(here.client, job(here.dataset, [each], PRUNE));
      expect(shapesIn(join(here.place.root, `trials/${each.trialId}/masks.safetensors`))).toEqual(
        Object.fromEntries(prunable),
      );
      await run(here.client, job(here.dataset, [each], train()));
      const stored = join(
        here.place.root,
        `trials/${each.trialId}/adapter/adapter_model.safetensors`,
      );
      expect(shapesIn(stored)).toEqual({ ...listShapes(form), ...HEAD });
      const tensors = readSafetensors(stored);
      for (const tensor of tensors.keys())
        expect(float32Tensor(tensors, tensor).data.every(Number.isFinite)).toBe(true);
    });
  }

  const readTrained = ({ trialId }: Trial) =>
    readSafetensors(join(here.place.root, `trials/${trialId}/adapter/adapter_model.safetensors`));
  const alike = { attentionBottleneck: 3, ffnBottleneck: 2, frozen: ['head.*', '*.down.bias'] };
  const stays = (trialId: string, totalSteps: number) =>
    trial(trialId, { adapter: alike, train: { totalSteps, weightDecay: 0.5 } });
  const [early, late] = [stays('frozen-1', 1), stays('frozen-3', 3)];
  testOf([early, late], 'trains none of the tensors that stay as they are drawn', async () => {
    await run(here.client, job(here.dataset, [early, late], PRUNE));
    await run(here.client, job(here.dataset, [early, late], train()));
    const [before, after] = [readTrained(early), readTrained(late)];
    for (const name of before.keys()) {
      const [one, other] = [before, after].map((file) => float32Tensor(file, name).data);
      const isFrozen = name.startsWith('head.') || name.endsWith('.down.bias');
      expect({ name, same: one!.every((value, i) => value === other![i]) }).toEqual({
        name,
        same: isFrozen,
      });
    }
  });

  // Where nothing decays and ε is next to nothing, both optimizers do the same.
  const optimized = (trialId: string, optimizer: Optimizer, weightDecay: number) =>
    trial(trialId, {
      adapter: { attentionBottleneck: 3, ffnBottleneck: 2 },
      train: { totalSteps: 3, warmup: 0, adamEpsilon: 1e-12, optimizer, weightDecay },
    });
  const { OPTIMIZER_UNSPECIFIED: ADAMW, OPTIMIZER_ADAMW_DECAY_AFTER: DECAY_AFTER } = Optimizer;
  const optimizers = [
    optimized('adamw', ADAMW, 0),
    optimized('decay-after', DECAY_AFTER, 0),
    optimized('adamw-decays', ADAMW, 10),
    optimized('decay-after-decays', DECAY_AFTER, 10),
  ];
  testOf(optimizers, 'decays weights before the update or after it', async () => {
    await run(here.client, job(here.dataset, optimizers, PRUNE));
    await run(here.client, job(here.dataset, optimizers, train()));
    const weights = optimizers.map(
      (each) => float32Tensor(readTrained(each), 'layers.0.ffn.down.weight').data,
    );
    const furthest = (a: Float32Array, b: Float32Array) =>
      a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
    expect(furthest(weights[0]!, weights[1]!)).toBeLessThan(1e-5);
    expect(furthest(weights[2]!, weights[3]!)).toBeGreaterThan(1e-6);
  });

  const pruners: [string, Partial<Trial['prune']>][] = [
    ...listWords(PRUNERS)
      .filter((name) => name !== 'none')
      .map((name): [string, Partial<Trial['prune']>] => [name, { pruner: PRUNERS[name].proto }]),
    [
      'grasp-rounds',
      { pruner: Pruner.PRUNER_GRASP, rounds: 2, schedule: PruneSchedule.PRUNE_SCHEDULE_LINEAR },
    ],
    ['snip-rounds', { pruner: Pruner.PRUNER_SNIP, rounds: 3 }],
    ['synflow-rounds', { pruner: Pruner.PRUNER_SYNFLOW, rounds: 10 }],
    ['inverted', { pruner: Pruner.PRUNER_MAG, control: MaskControl.MASK_CONTROL_INVERTED }],
    [
      'shuffled',
      {
        pruner: Pruner.PRUNER_SNIP,
        control: MaskControl.MASK_CONTROL_SHUFFLED,
        reinitialize: true,
      },
    ],
  ];
  for (const [name, prune] of pruners) {
    const trials = ['sequential', 'lora', 'mam'].map((form) => {
      const adapter = { attentionBottleneck: 3, ffnBottleneck: 2, ...FORMS[form]!.adapter };
      return trial(`${name}-${form}`, { adapter, prune: { sparsity: 0.837, ...prune } });
    });
    // Of the forms those that the trainer has, or all, to be skipped with what it lacks.
    const able = trials.filter((each) => lacking([each]).length === 0);
    testOf(
      able.length > 0 ? able : trials,
      `keeps exactly floor((1 − sparsity) · n + 0.5) weights in all: ${name}`,
      async () => {
        await run(here.client, job(here.dataset, able, PRUNE));
        for (const { trialId } of able) {
          const masks = [
            ...readSafetensors(
              join(here.place.root, `trials/${trialId}/masks.safetensors`),
            ).values(),
          ];
          const n = masks.reduce((total, { data }) => total + data.length, 0);
          const kept = masks.reduce(
            (total, { data }) => total + [...data].filter((value) => value === 1).length,
            0,
          );
          expect({ trialId, kept }).toEqual({ trialId, kept: Math.floor((1 - 0.837) * n + 0.5) });
        }
      },
    );
  }
});
