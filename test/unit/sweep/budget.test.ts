import { completeAdapter } from '../../../orchestrator/config/adapter';
import { adapterSizes, sum } from '../../../orchestrator/sweep/budget';
import { backbone, countSizes, prune } from '../support/plans';
import { bart } from '../tasks/summaries/support/summaries';

const dense = prune();
const houlsby = completeAdapter({});
const MODULES = 12;
/** Small sizes that no two of are equal, so that none stands for another unseen. */
const tiny = {
  ...{ ...backbone(), hidden_size: 5, intermediate_size: 7, num_layers: 2 },
  ...{ vocab_size: 11, max_position_embeddings: 13, type_vocab_size: 3 },
};

const PAIRS = { kind: 'classification', num_labels: 2 } as const;

describe('computeBudget', () => {
  test('counts Houlsby-64 on MiniLM by hand: two matrices, two biases, a norm per module', () => {
    const budget = countSizes(houlsby, dense, backbone(), PAIRS);
    const trainable = MODULES * (2 * 384 * 64 + 64 + 384 + 2 * 384);
    const head = 384 * 384 + 384 + 2 * 384 + 2;
    expect(budget).toEqual({
      trainable,
      kept: trainable,
      head,
      stored_bytes: 4 * (trainable + head),
    });
  });

  test('sparsity takes prunable weights only: biases and norms stay', () => {
    const budget = countSizes(
      houlsby,
      { ...dense, pruner: 'snip', sparsity: 0.4 },
      backbone(),
      PAIRS,
    );
    const prunable = MODULES * 2 * 384 * 64;
    expect(budget.kept).toBe(Math.round(0.6 * prunable) + MODULES * (64 + 384 + 768));
    expect(budget.trainable).toBe(prunable + MODULES * (64 + 384 + 768));
  });

  test('a local scope rounds in each matrix, a global one once; er keeps as many as global', () => {
    const narrow = completeAdapter({ bottleneck: 1, norm: 'none' });
    const one = { ...tiny, num_layers: 1 };
    const fixed = 2 * (1 + 5);
    // Four matrices of 5 weights at density 0.3: 1.5 each rounds to 2, 6 in all stays 6.
    expect(
      countSizes(narrow, { ...dense, pruner: 'mag', sparsity: 0.7, scope: 'local' }, one, PAIRS)
        .kept - fixed,
    ).toBe(8);
    expect(
      countSizes(narrow, { ...dense, pruner: 'mag', sparsity: 0.7 }, one, PAIRS).kept - fixed,
    ).toBe(6);
    expect(
      countSizes(narrow, { ...dense, pruner: 'er', sparsity: 0.7 }, one, PAIRS).kept - fixed,
    ).toBe(6);
  });

  test('full fine-tuning of MiniLM leaves out its key biases and its pooler alone', () => {
    const { trainable, kept } = countSizes(
      completeAdapter({ kind: 'full' }),
      dense,
      backbone(),
      PAIRS,
    );
    expect(trainable).toBe(backbone().weights - 6 * 384 - (384 * 384 + 384));
    expect(kept).toBe(trainable);
  });

  test('N:M keeps N of each M in every matrix', () => {
    const sizes = {
      structure: 'n_m' as const,
      scope: 'local' as const,
      group_kept: 1,
      group_size: 4,
      sparsity: 0.75,
    };
    const { kept } = countSizes(houlsby, { ...dense, pruner: 'mag', ...sizes }, backbone(), PAIRS);
    expect(kept).toBe((MODULES * 2 * 384 * 64) / 4 + MODULES * (64 + 384 + 768));
  });

  test('whole units are counted over all modules, or in each locally; biases stay', () => {
    const units = { ...dense, pruner: 'mag' as const, structure: 'units' as const, sparsity: 0.5 };
    const three = completeAdapter({ bottleneck: 3, norm: 'none' });
    const fixed = 4 * (3 + 5);
    // Four modules of three units of 2 · 5 weights: 6 of 12 are kept, or 2 of 3 in each.
    expect(countSizes(three, units, tiny, PAIRS).kept - fixed).toBe(6 * 10);
    expect(countSizes(three, { ...units, scope: 'local' }, tiny, PAIRS).kept - fixed).toBe(
      4 * 2 * 10,
    );
    const lora = completeAdapter({ attention: 'lora', ffn: 'lora', bottleneck: 3 });
    // Query and value have units of 2 · 5 weights, the feed-forward block's two of 5 + 7.
    expect(countSizes(lora, { ...units, scope: 'local' }, tiny, PAIRS).kept).toBe(
      2 * (2 * 2 * 10 + 2 * 2 * 12),
    );
  });

  test('pruning during training keeps what its last round keeps', () => {
    const at = { ...dense, pruner: 'mag' as const, sparsity: 0.4 };
    expect(
      countSizes(houlsby, { ...at, rounds: 5, every_steps: 7, begin_step: 3 }, backbone(), PAIRS),
    ).toEqual(countSizes(houlsby, at, backbone(), PAIRS));
  });

  test('the official rules cut as many as the published code, for every fraction and count', () => {
    const one = { ...tiny, num_layers: 1 };
    for (const value of [
      0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.05, 0.55, 0.95, 0.999, 1, 1e-3,
    ]) {
      for (let width = 1; width <= 400; width++) {
        const narrow = completeAdapter({ kind: 'pfeiffer', bottleneck: width, norm: 'none' });
        const official = {
          ...dense,
          pruner: 'mag' as const,
          rules: 'official' as const,
          sparsity: 1 - value,
        };
        const kept = (scope: 'global' | 'local') =>
          countSizes(narrow, { ...official, scope }, one, PAIRS).kept - (width + 5);
        // One module of two matrices of 5 · width weights.
        expect([value, width, kept('global')]).toEqual([
          value,
          width,
          10 * width - Math.ceil((1 - value) * (10 * width)),
        ]);
        expect([value, width, kept('local')]).toEqual([
          value,
          width,
          2 * (5 * width - Math.floor((1 - value) * (5 * width))),
        ]);
      }
    }
  });

  test('a regression head has one output', () => {
    expect(countSizes(houlsby, dense, backbone(), { kind: 'regression', num_labels: 1 }).head).toBe(
      384 * 384 + 384 + 384 + 1,
    );
  });

  test('the head of question answering is its outputs alone', () => {
    const { head, trainable, stored_bytes } = countSizes(houlsby, dense, backbone(), {
      kind: 'question_answering',
      num_labels: 2,
    });
    expect(head).toBe(2 * 384 + 2);
    expect(stored_bytes).toBe(4 * (trainable + head));
  });
});

describe('on an encoder–decoder', () => {
  // d = 5, two encoder layers of f = 7, three decoder layers of f = 9, each of which has two
  // attentions: 8 attentions, 5 feed-forward blocks.
  test.each([
    ['houlsby', { bottleneck: 3 }, 13 * 30, 13 * (3 + 5 + 10)],
    ['pfeiffer', { kind: 'pfeiffer' as const, bottleneck: 3 }, 5 * 30, 5 * (3 + 5 + 10)],
    [
      'lora: query and value of each attention',
      { kind: 'lora' as const, bottleneck: 2 },
      8 * 2 * 20,
      0,
    ],
    [
      'lora in the feed-forward blocks, by the width of each stack',
      { attention: 'none' as const, ffn: 'lora' as const, bottleneck: 2 },
      2 * 2 * 2 * (5 + 7) + 3 * 2 * 2 * (5 + 9),
      0,
    ],
    [
      'a prefix without MLP',
      { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 0 },
      0,
      8 * 2 * 15,
    ],
    [
      'a prefix with MLPs: one for the encoder, the decoder and the cross-attentions each',
      { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 4 },
      0,
      3 * (15 + 20 + 4) + 8 * 2 * 5 * (4 + 1),
    ],
    ['a prompt, once', { kind: 'prompt' as const, bottleneck: 3 }, 0, 15],
    ['bitfit', { kind: 'bitfit' as const }, 0, 2 * (6 * 5 + 7) + 3 * (10 * 5 + 9)],
  ])('%s', (_what, keys, prunable, fixed) => {
    const sizes = adapterSizes(completeAdapter(keys), bart());
    expect({ prunable: sum(sizes.matrices), fixed: sizes.fixed }).toEqual({ prunable, fixed });
  });

  test('lora and prefixes are as wide as the attention, where that is not the hidden size', () => {
    const wide = { ...bart(), attention_size: 8 };
    expect(sum(adapterSizes(completeAdapter({ kind: 'lora', bottleneck: 2 }), wide).matrices)).toBe(
      8 * 2 * (2 * 5 + 8 * 2),
    );
    expect(
      adapterSizes(completeAdapter({ kind: 'prefix', bottleneck: 3, prefix_hidden: 0 }), wide)
        .fixed,
    ).toBe(8 * 2 * 3 * 8);
  });

  test('units are counted over both stacks, or in each module', () => {
    const units = { ...dense, pruner: 'mag' as const, structure: 'units' as const, sparsity: 0.5 };
    const three = completeAdapter({ bottleneck: 3, norm: 'none' });
    const fixed = 13 * (3 + 5);
    // Of 39 units 20 are kept, or of three 2 in each.
    const summaries = { kind: 'summarization', num_labels: 0 } as const;
    expect(countSizes(three, units, bart(), summaries).kept - fixed).toBe(20 * 10);
    expect(countSizes(three, { ...units, scope: 'local' }, bart(), summaries).kept - fixed).toBe(
      13 * 2 * 10,
    );
  });

  test('summarization has no head', () => {
    const { head, trainable, stored_bytes } = countSizes(houlsby, dense, bart(), {
      kind: 'summarization',
      num_labels: 0,
    });
    expect(head).toBe(0);
    expect(stored_bytes).toBe(4 * trainable);
  });
});

describe('adapterSizes', () => {
  // With d = 5, f = 7 and two layers, from the list of tensors in job.proto.
  test.each([
    ['houlsby: a module at each site', { bottleneck: 3 }, 2 * 4 * 15, 2 * 2 * (3 + 5 + 10)],
    [
      'no norm: no norm weights',
      { bottleneck: 3, norm: 'none' as const },
      2 * 4 * 15,
      2 * 2 * (3 + 5),
    ],
    [
      'pfeiffer: one module a layer',
      { kind: 'pfeiffer' as const, bottleneck: 3 },
      2 * 2 * 15,
      2 * (3 + 5 + 10),
    ],
    [
      'parallel, without a norm',
      { kind: 'parallel' as const, bottleneck: 3 },
      2 * 4 * 15,
      2 * 2 * (3 + 5),
    ],
    [
      'two widths',
      { attention_bottleneck: 1, ffn_bottleneck: 4 },
      2 * (2 * 5 + 2 * 20),
      2 * (1 + 5 + 10 + 4 + 5 + 10),
    ],
    ['lora: query and value', { kind: 'lora' as const, bottleneck: 2 }, 2 * 4 * 10, 0],
    [
      'lora in the feed-forward block',
      { attention: 'none' as const, ffn: 'lora' as const, bottleneck: 2 },
      2 * (2 * 10 + 2 * 14),
      0,
    ],
    [
      'a prefix without MLP',
      { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 0 },
      0,
      2 * 2 * 15,
    ],
    [
      'a prefix with MLP',
      { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 4 },
      0,
      15 + (20 + 4) + (20 * 4 + 20),
    ],
    [
      'mam',
      { kind: 'mam' as const, bottleneck: 3, prefix_hidden: 0 },
      2 * 2 * 15,
      2 * 2 * 15 + 2 * (3 + 5),
    ],
    ['bitfit: six biases of d, one of f', { kind: 'bitfit' as const }, 0, 2 * (6 * 5 + 7)],
    ['a prompt, once', { kind: 'prompt' as const, bottleneck: 3 }, 0, 3 * 5],
    [
      'all of the backbone: embeddings and their norm, then the matrices, norms and biases of ' +
        'each layer',
      { kind: 'full' as const },
      0,
      (11 + 13 + 3) * 5 + 2 * 5 + 2 * (4 * 25 + 2 * 35 + 2 * 5 + (6 * 5 + 7)),
    ],
    ['the head alone', { kind: 'head_only' as const }, 0, 0],
  ])('%s', (_what, keys, prunable, fixed) => {
    const sizes = adapterSizes(completeAdapter(keys), tiny);
    expect({ prunable: sum(sizes.matrices), fixed: sizes.fixed }).toEqual({ prunable, fixed });
  });
});
