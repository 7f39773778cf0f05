import { normalizeFlags } from '../../../orchestrator/cli/options';
import { runCommand } from '../../../orchestrator/cli/run';
import { buildRequest } from '../../../orchestrator/cli/run-settings';
import { explainSparsity } from '../../../orchestrator/cli/seed-flags';
import { adapterLabel } from '../../../orchestrator/sweep/adapters';
import type { CompareLine, SweepConfig } from '../../../orchestrator/config/sweep-config';
import { trainOf } from '../support/plans';

function configFrom(flags: string): SweepConfig {
  const command = runCommand();
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  command.parseOptions(normalizeFlags(flags.split(' ').filter((word) => word !== '')));
  return buildRequest(command.opts()).config;
}

/** The one line of `compare` that these flags come to. */
const parseLine = (flags: string): CompareLine => configFrom(`--task mrpc ${flags}`).compare[0]!;

const buildAdapter = (flags: string) => parseLine(flags).adapters[0]!;

/** What is said of `--sparsity` when these flags are typed. */
function explain(flags: string): string | undefined {
  const typed = flags.split(' ');
  const command = runCommand();
  command.parseOptions(normalizeFlags(typed));
  return explainSparsity(command.opts(), typed);
}

describe('a sparsity', () => {
  test.each([
    '--task_name mrpc --pruner snip --sparsity 0.4',
    '--task mrpc --model-name-or-path b --pruner snip --sparsity=0.4',
    '--task mrpc --attn_bn 8 --pruner snip --sparsity .4',
  ])('beside flags of the published scripts is explained: %s', (flags) => {
    expect(explain(flags)).toBe(
      '0.4 removes 40 % here; in the published scripts it keeps 40 %, as with --compat official',
    );
  });

  test('of almost all is not said to remove 100 %', () => {
    expect(explain('--task_name mrpc --pruner snip --sparsity 0.99999')).toContain('99.999 %');
  });

  test.each([
    '--task mrpc --pruner snip --sparsity 0.4 --attn-bn 8',
    '--compat official --task_name mrpc --pruner snip --sparsity 0.4',
    '--task_name mrpc --pruner none',
  ])('means one thing here: %s', (flags) => expect(explain(flags)).toBeUndefined());
});

describe('the flags of sa-orch run', () => {
  test('without any are a dense houlsby adapter', () => {
    expect(parseLine('')).toMatchObject({
      pruner: ['none'],
      adapters: [{ attention: 'sequential', ffn: 'sequential' }],
    });
  });

  test.each([
    ['--adapter lora', 'lora-8'],
    ['--adapter head_only', 'head_only'],
    [
      '--attn_mode adapter --attn_option sequential --attn_bn 64 --ffn_mode adapter ' +
        '--ffn_option sequential --ffn_bn 64',
      'houlsby-64',
    ],
    [
      '--attn_mode adapter --attn_option parallel --ffn_mode adapter --ffn_option parallel ' +
        '--attn_bn 16 --ffn_bn 32',
      'parallel-16/32',
    ],
    ['--attn-mode none --ffn-mode adapter --ffn-option pfeiffer', 'pfeiffer-64'],
    [
      '--attn_mode lora --attn_option sequential --attn_bn 4 --ffn_mode lora --ffn_option ' +
        'sequential',
      'lora+lora-4/8',
    ],
    [
      '--attn_mode prefix --attn_bn 30 --ffn_mode adapter --ffn_option parallel --ffn_bn=512',
      'mam-30/512',
    ],
    ['--attn_mode none --ffn_mode none', 'head_only'],
    ['--attn_mode lora', 'lora+sequential-8/64'],
    ['--ffn_option parallel', 'sequential+parallel-64'],
    ['--adapter mam --ffn-mode lora', 'prefix+lora-30/8'],
    ['--adapter full', 'full'],
    ['--attn_mode prompt_tuning --attn_option concat --attn_bn 12 --ffn_mode none', 'prompt-12'],
    [
      '--attn_mode prefix_nomlp --attn_option cross_attn --ffn_mode none --ffn_option none',
      'prefix-30',
    ],
    ['--attn_mode bitfit --ffn_mode none', 'bitfit'],
  ])('%s: %s', (flags, label) => {
    expect(adapterLabel(buildAdapter(flags))).toBe(label);
  });

  test('say how it is pruned, and what a module needs', () => {
    expect(buildAdapter('--adapter lora --lora_alpha 32')).toMatchObject({ lora_alpha: 32 });
    expect(
      parseLine('--pruner snip --sparsity 0.8 --scope local --scoring_rows 64 --rounds 5'),
    ).toMatchObject({
      ...{ pruner: ['snip'], sparsity: [0.8], scope: ['local'], scoring_rows: [64], rounds: [5] },
    });
    expect(parseLine('--pruner fisher --sparsity 0.8 --scoring_head prior')).toMatchObject({
      scoring_head: ['prior'],
    });
    expect(parseLine('--pruner snip --sparsity 0.8 --scoring-head warm_up:50')).toMatchObject({
      scoring_head: [{ warm_up: 50 }],
    });
    expect(() => parseLine('--pruner snip --sparsity 0.8 --scoring-head warm_up:0')).toThrow(
      '--scoring-head: 0 is not allowed; must be a whole number from 1 to',
    );
    expect(() => parseLine('--pruner mag --sparsity 0.8 --scoring-head prior')).toThrow(
      '--scoring-head: {"head":"prior"} is not allowed; must be left out if no pruner is snip',
    );
  });

  test('limit how long the trial may train', () => {
    expect(configFrom('--task mrpc --max-minutes 1.5').tasks[0]!.max_minutes).toBe(1.5);
    expect(() => configFrom('--task mrpc --max-minutes 0')).toThrow(
      '--max-minutes: 0 is not allowed; must be a number above 0',
    );
  });

  test("are the published scripts' too, by their names", () => {
    const names = configFrom(
      '--task_name rte --model_name_or_path bert-base-uncased --num_train_epochs 10 ' +
        '--per_device_train_batch_size 48 --learning_rate 1e-4 --weight_decay 0.2 ' +
        '--warmup_ratio 0.1 --max_seq_length 64',
    );
    expect(names).toMatchObject({
      backbone: 'bert-base-uncased',
      max_length: 64,
      tasks: [{ name: 'rte' }],
    });
    expect(configFrom('--task squad --doc_stride 64')).toMatchObject({
      max_length: null,
      doc_stride: 64,
    });
    expect(trainOf(names.tasks[0])).toMatchObject({
      epochs: 10,
      batch_size: 48,
      learning_rate: 1e-4,
      weight_decay: 0.2,
      warmup: 0.1,
    });
    expect(
      parseLine(
        '--pruner synflow --sparsity 0.5 --mask_scope local --prune_epochs 7 ' +
          '--compression_schedule linear',
      ),
    ).toMatchObject({
      ...{ scope: ['local'], rounds: [7], schedule: ['linear'] },
    });
    expect(parseLine('--pruner mag --sparsity 0.5 --reinitialize --shuffle True')).toMatchObject({
      reinitialize: [true],
      control: ['shuffled'],
    });
    expect(parseLine('--pruner mag --sparsity 0.5 --invert --shuffle false')).toMatchObject({
      reinitialize: [false],
      control: ['inverted'],
    });
    expect(parseLine('--pruner snip --sparsity 0.5 --prune_dataset_ratio 8').scoring_rows).toEqual([
      16,
    ]);
    const squad = configFrom('--task squad --pruner snip --sparsity 0.5 --prune_dataset_ratio 8');
    expect(squad.compare[0]!.scoring_rows).toEqual([16]);
  });

  test("say an adapter's norm, start and scale as the published scripts do", () => {
    const flags =
      '--ffn_adapter_layernorm_option out --ffn_adapter_init_option lora --ffn_adapter_scalar 4';
    expect(buildAdapter(flags)).toMatchObject({ norm: 'after', init: 'zero_up', scale: 4 });
    expect(buildAdapter('--attn_mode prefix --mid_dim 5').prefix_hidden).toBe(5);
    expect(buildAdapter('--attn_mode prefix_nomlp --mid_dim 800').prefix_hidden).toBe(0);
  });

  test('read sparsity as the fraction kept with --compat official, and have its rules', () => {
    expect(parseLine('--compat official --pruner snip --sparsity 0.6')).toMatchObject({
      rules: 'official',
      sparsity: [1 - 0.6],
      scoring_rows: null,
    });
    expect(() => parseLine('--compat official --pruner snip')).toThrow(
      'needs --sparsity, the fraction of weights to keep, in (0, 1]',
    );
    expect(() => parseLine('--compat official --pruner snip --sparsity 0')).toThrow(
      '--sparsity: 0 is not allowed; must be a number in (0, 1], under ' +
        'compat official the fraction of weights kept',
    );
  });

  test('remove groups and units', () => {
    expect(parseLine('--pruner mag --n-m 2:4').n_m).toEqual([{ group_kept: 2, group_size: 4 }]);
    expect(parseLine('--pruner mag --sparsity 0.5 --structure units').structure).toEqual(['units']);
    expect(() => parseLine('--n-m 2:4')).toThrow('--n-m needs a --pruner');
    expect(() => parseLine('--pruner mag --n-m 4:2')).toThrow(
      '--n-m: "4:2" is not allowed; must be N:M in quotes',
    );
  });

  test('prune during training by --begin and --prune-iterations, except published defaults', () => {
    const pruned = '--pruner mag --sparsity 0.5';
    expect(parseLine(`${pruned} --begin 2 --prune_iterations 3`)).toMatchObject({
      rounds: [3],
      progressive: { begin_epoch: 2, every_epochs: 1 },
    });
    expect(parseLine(`${pruned} --prune_iterations 3`)).toMatchObject({
      rounds: [3],
      progressive: { begin_epoch: 0, every_epochs: 1 },
    });
    expect(parseLine(`${pruned} --begin 1`)).toMatchObject({
      rounds: [1],
      progressive: { begin_epoch: 1, every_epochs: 1 },
    });
    expect(parseLine(`${pruned} --begin 0 --prune_iterations 1`)).toMatchObject({
      rounds: null,
      progressive: null,
    });
    expect(() => parseLine(`${pruned} --begin 1 --prune_epochs 5`)).toThrow(
      '--rounds: 5 is not allowed with pruning during training',
    );
    expect(() => parseLine(`${pruned} --prune_iterations 0`)).toThrow(
      '--prune-iterations: 0 is not allowed; must be a whole number from 1',
    );
    expect(() => parseLine(`${pruned} --begin 1 --invert`)).toThrow(
      '--invert: "inverted" is not allowed; must be left out if progressive',
    );
  });

  test('say how summaries are learned and generated, also by the published names', () => {
    const flags =
      '--max_source_length 400 --max_target_length 50 --label_smoothing_factor 0.2 ' +
      '--num_beams 4 --min_length 3 --max_length 40';
    const config = configFrom(`--task xsum ${flags} --no_repeat_ngram_size 2 --length_penalty 1.5`);
    expect(config).toMatchObject({
      max_length: 400,
      max_target_length: 50,
      generation: {
        beams: 4,
        min_length: 3,
        max_length: 40,
        no_repeat_ngram: 2,
        length_penalty: 1.5,
      },
    });
    expect(trainOf(config.tasks[0])).toMatchObject({ label_smoothing: 0.2 });
    expect(configFrom('--task xsum').generation).toEqual({
      beams: 6,
      min_length: 10,
      max_length: 60,
      no_repeat_ngram: 3,
      length_penalty: 1,
    });
    const scored = configFrom('--task xsum --pruner snip --sparsity 0.5 --prune_dataset_ratio 8');
    expect(scored.compare[0]!.scoring_rows).toEqual([8]);
  });

  test.each([
    [
      '--task mrpc --label_smoothing 0.1',
      '--label-smoothing: applies only to summarization; remove it, this sweep has no such task',
    ],
    ['--task mrpc --num_beams 2', '--num-beams: applies only to summarization'],
    ['--task mrpc --length_penalty 2', '--length-penalty: applies only to summarization'],
    ['--task mrpc --max_target_length 9', '--max-target-length: applies only to summarization'],
    ['--task xsum --num_beams 0', '--num-beams: 0 is not allowed; must be a whole number from 1'],
    [
      '--task xsum --min_length 70',
      '--min-length: min_length 70 is more than max_length 60; must be at most that',
    ],
  ])('of summarization that are wrong are refused by name: %s', (flags, message) => {
    expect(() => configFrom(flags)).toThrow(message);
  });

  test('name the arithmetic of the backbone, or leave it to the trainer', () => {
    expect(configFrom('--task mrpc').precision).toBeNull();
    expect(configFrom('--task mrpc --precision tf32').precision).toBe('tf32');
    expect(() => configFrom('--task mrpc --precision half')).toThrow(
      /'half' is invalid. Allowed choices are float32, tf32, bf16/,
    );
    expect(() => configFrom('--task mrpc --bf16 true')).toThrow('--bf16: use --precision bf16');
  });

  test('that do not go together are refused', () => {
    expect(() => parseLine('--adapter bitfit --pruner snip --sparsity 0.4')).toThrow(
      /^--pruner: "snip" .* it has no matrix to prune/,
    );
    expect(() => parseLine('--pruner mag --sparsity 0.4 --rounds 5')).toThrow(
      '--rounds: 5 is not allowed',
    );
  });

  test.each([
    [
      '--pruner mag --sparsity 0.5 --rounds 1 --prune_epochs 1',
      '--prune-epochs: is another name for --rounds; give only one of them',
    ],
    [
      '--pruner mag --sparsity 0.5 --shuffle --invert',
      '--shuffle: is not allowed together with --invert; remove one of them',
    ],
    [
      '--pruner snip --sparsity 0.5 --scoring_rows 4 --prune_dataset_ratio 2',
      '--prune-dataset-ratio: is not allowed together with --scoring-rows',
    ],
    [
      '--pruner mag --sparsity 0.5 --prune_dataset_ratio 2',
      '--prune-dataset-ratio: 4 is not allowed; must be left out if no pruner is',
    ],
    [
      '--attn_mode adapter --attn_option cross_attn_relu',
      '--attn-option: "cross_attn_relu" is of prefixes, under compat official; must be ' +
        'sequential, parallel, parallel_context or concat',
    ],
    [
      '--ffn_mode adapter --ffn_option none',
      '--ffn-option: "none" is not allowed; must be sequential, parallel or pfeiffer',
    ],
    [
      '--attn_mode bitfit --ffn_mode adapter',
      '--ffn-mode: "sequential" is not allowed; must be left out if the kind is bitfit',
    ],
    [
      '--attn_mode bitfit --adapter lora',
      '--attn-mode: "bitfit" is not allowed with --adapter lora',
    ],
    ['--scope local', '--scope: "local" is not allowed; must be left out if the pruner is none'],
    [
      '--pruner snip --sparsity 0.5 --compression_schedule cubic',
      '--compression-schedule: "cubic" is not allowed; must be left out if there is a single round',
    ],
    ...(
      [
        ['--adapter bitfit --attn-bn 64', '--attn-bn', 'bitfit'],
        ['--attn-mode bitfit --ffn-mode none --attn-bn 64', '--attn-bn', 'bitfit'],
        ['--adapter pfeiffer --attn-bn 64', '--attn-bn', 'pfeiffer'],
        ['--adapter lora --ffn-bn 64', '--ffn-bn', 'lora'],
        ['--adapter lora --mid-dim 64', '--mid-dim', 'lora'],
        ['--adapter pfeiffer --lora-alpha 32', '--lora-alpha', 'pfeiffer'],
        ['--adapter lora --ffn-adapter-scalar 4', '--ffn-adapter-scalar', 'lora'],
        ['--adapter prefix --ffn-adapter-init-option bert', '--ffn-adapter-init-option', 'prefix'],
        [
          '--adapter lora --ffn-adapter-layernorm-option in',
          '--ffn-adapter-layernorm-option',
          'lora',
        ],
      ] as const
    ).map(([flags, flag, adapter]): [string, string] => [
      flags,
      `${flag}: changes nothing in the adapter ${adapter}; must be left out`,
    ]),
    ['--shuffle maybe', 'must be true or false; without a value it is true'],
  ])('that cannot be are refused by name: %s', (flags, message) => {
    expect(() => parseLine(flags)).toThrow(message);
  });

  test('of a width that nothing has are taken with those of the scripts, as there', () => {
    const flags = '--compat official --attn_mode bitfit --attn_bn 64 --ffn_mode none --ffn_bn 64';
    expect(buildAdapter(flags)).toMatchObject({ attention_bottleneck: 0, ffn_bottleneck: 0 });
  });

  test('name a task', () => {
    expect(() => configFrom('--pruner none')).toThrow(
      '--task: is missing; must be one of cola, sst2,',
    );
  });

  test.each([
    ['--task mrcp', '--task: "mrcp" is not allowed'],
    ['--pruner snip --sparsity 1.2', '--sparsity: 1.2 is not allowed; must be a number in [0, 1)'],
    ['--attn_bn 0', '--attn-bn: 0 is not allowed'],
    ['--learning_rate=-1', '--learning-rate: -1 is not allowed'],
  ])('are named where a value is wrong: %s', (flags, message) => {
    expect(() => parseLine(flags)).toThrow(message);
  });
});
