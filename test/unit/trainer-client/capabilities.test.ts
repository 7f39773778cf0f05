import { Capabilities } from '../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AttentionModule,
  FfnModule,
  MaskRules,
  MaskStructure,
  Precision,
  Pruner,
  TaskKind,
  Unfrozen,
} from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { checkPlan, defaultPrecision } from '../../../orchestrator/trainer-client/capabilities';
import { prune } from '../support/plans';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

function capabilities(changes: Partial<Capabilities> = {}): Capabilities {
  return Capabilities.fromPartial({
    protocolVersion: 1,
    maxCohort: 2,
    architectures: ['bert', 'roberta'],
    attentionModules: [
      AttentionModule.ATTENTION_MODULE_NONE,
      AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
    ],
    ffnModules: [FfnModule.FFN_MODULE_NONE, FfnModule.FFN_MODULE_SEQUENTIAL],
    unfrozen: [Unfrozen.UNFROZEN_NONE],
    maskStructures: [MaskStructure.MASK_STRUCTURE_WEIGHTS],
    maskRules: [MaskRules.MASK_RULES_EXACT],
    pruners: [Pruner.PRUNER_NONE, Pruner.PRUNER_SNIP],
    taskKinds: [TaskKind.TASK_KIND_CLASSIFICATION],
    ...changes,
  });
}

describe('a plan against the capabilities of a trainer', () => {
  test('lacks nothing where the trainer can do it all', () => {
    expect(checkPlan(tinyPlan(), capabilities())).toEqual([]);
  });

  test('names everything that is lacking, at once', () => {
    const trials = [
      plannedTrial('t1', { adapter: completeAdapter({ kind: 'pfeiffer' }) }),
      plannedTrial('t2', {
        prune: prune({
          pruner: 'mag',
          sparsity: 0.5,
          structure: 'units',
          rules: 'official',
          every_steps: 5,
        }),
        adapter: completeAdapter({ kind: 'lora' }),
      }),
      plannedTrial('t3', { adapter: completeAdapter({ kind: 'bitfit' }), prune: prune() }),
    ];
    expect(
      checkPlan(
        tinyPlan(trials),
        capabilities({ architectures: ['roberta'], taskKinds: [TaskKind.TASK_KIND_REGRESSION] }),
      ),
    ).toEqual([
      'backbone all-MiniLM-L6-v2 is of type bert; the trainer supports roberta',
      "attention module lora is not among the trainer's: none, sequential",
      "feed-forward module after_norm is not among the trainer's: none, sequential",
      "part of the backbone biases is not among the trainer's: none",
      "pruner mag is not among the trainer's: none, snip",
      "mask structure units is not among the trainer's: weights",
      "mask rules official is not among the trainer's: exact",
      'the trainer does not prune during training, as `progressive` needs',
      "task kind classification is not among the trainer's: regression",
    ]);
  });

  test('needs each later field, of which an older trainer knows only some', () => {
    const warmedUp = { scoring_head: 'warm_up', scoring_head_steps: 50 } as const;
    const plan = tinyPlan([
      plannedTrial('t1', { prune: prune({ pruner: 'snip', sparsity: 0.5, ...warmedUp }) }),
    ]);
    const fields = ['prune.scoring_head'];
    expect(checkPlan(plan, capabilities({ fields }))).toEqual([
      'the trainer does not handle prune.scoring_head_steps',
    ]);
    const all = [...fields, 'prune.scoring_head_steps'];
    expect(checkPlan(plan, capabilities({ fields: all }))).toEqual([]);
  });

  test.each([
    ['tf32', [Precision.PRECISION_FLOAT32], ["precision tf32 is not among the trainer's: float32"]],
    [
      'bf16',
      [Precision.PRECISION_FLOAT32, Precision.PRECISION_TF32],
      ["precision bf16 is not among the trainer's: float32, tf32"],
    ],
    ['bf16', [Precision.PRECISION_FLOAT32, Precision.PRECISION_BF16], []],
    // A trainer that was written before precisions were listed.
    ['bf16', [], ["precision bf16 is not among the trainer's: float32"]],
    [undefined, [], []],
  ] as const)(
    'of precision %s, the trainer listing %j, lacks %j',
    (precision, precisions, lacking) => {
      const plan = tinyPlan([
        plannedTrial('t1', { precision }),
        plannedTrial('t2', { precision, seed: 4 }),
      ]);
      expect(checkPlan(plan, capabilities({ precisions: [...precisions] }))).toEqual(lacking);
    },
  );

  test('with a hub id needs a trainer that downloads', () => {
    const plan = tinyPlan();
    const hub = {
      ...plan,
      backbone: { ...plan.backbone, name: 'roberta-base', path: 'roberta-base' },
    };
    expect(checkPlan(hub, capabilities())).toEqual([
      'backbone roberta-base is not a directory, and the trainer does not download',
    ]);
    expect(checkPlan(hub, capabilities({ hubDownload: true }))).toEqual([]);
  });

  test('is gone through once, however many jobs are checked', () => {
    const { trials, ...rest } = tinyPlan();
    let times = 0;
    const plan = {
      ...rest,
      get trials() {
        times++;
        return trials;
      },
    };
    for (let job = 0; job < 3; job++) checkPlan(plan, capabilities());
    expect(times).toBe(1);
  });

  test('is not compared any further with a trainer of another contract', () => {
    expect(checkPlan(tinyPlan(), capabilities({ protocolVersion: 2, pruners: [] }))).toEqual([
      'the trainer speaks version 2 of the contract, not 1',
    ]);
  });
});

describe('the precision that nobody named', () => {
  const all = [Precision.PRECISION_FLOAT32, Precision.PRECISION_TF32, Precision.PRECISION_BF16];
  const device = (kind: string) => ({
    kind,
    name: '',
    memoryBytes: 0,
    memoryUsedBytes: 0,
    threads: 0,
  });

  test.each([
    ['cpu', all, { precision: 'float32', unlisted: null }],
    ['cuda', all, { precision: 'bf16', unlisted: null }],
    ['cuda', [Precision.PRECISION_FLOAT32], { precision: 'float32', unlisted: 'bf16' }],
    ['cuda', [], { precision: 'float32', unlisted: 'bf16' }],
    ['cpu', [], { precision: 'float32', unlisted: null }],
  ])(
    "is the device's, as far as the trainer can: on %s, listing %j",
    (kind, precisions, expected) => {
      expect(defaultPrecision({ devices: [device(kind)], precisions })).toEqual(expected);
    },
  );
});
