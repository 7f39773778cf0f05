/** The commands of the published scripts as they stand, and the table of their flags. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { normalizeFlags } from '../../../orchestrator/cli/options';
import { PUBLISHED_FLAGS } from '../../../orchestrator/cli/published-flags';
import { readProgram, runCommand } from '../../../orchestrator/cli/run';
import { buildRequest, explainFlags } from '../../../orchestrator/cli/run-settings';
import type { RunOptions } from '../../../orchestrator/cli/run-options';
import {
  DEFAULT_UNFREEZE_PARAMS,
  publishAdapter,
} from '../../../orchestrator/sweep/published-model';
import type { SweepConfig } from '../../../orchestrator/config/sweep-config';
import { trainOf } from '../support/plans';

/** What all three scripts have. */
const SHARED =
  '--do_train --do_eval --overwrite_output_dir --per_device_train_batch_size 48 ' +
  '--per_device_eval_batch_size 48 --output_dir ./checkpoints/x --unfreeze_params ef_ ' +
  '--pruner rand --sparsity 1. --attn_mode adapter --attn_option sequential --attn_bn 64 ' +
  '--ffn_mode adapter --ffn_option sequential --ffn_bn 64 --num_train_epochs 10 ' +
  '--learning_rate 1e-4 --weight_decay 0.1';
const SCRIPTS = {
  glue:
    `--model_name_or_path roberta-base --task_name mrpc ${SHARED} ` +
    '--ffn_adapter_init_option bert --metric_for_best_model accuracy',
  qa:
    `--model_name_or_path roberta-base --dataset_name squad ${SHARED} --attn_composition add ` +
    '--ffn_adapter_init_option bert --metric_for_best_model exact_match',
  summarization:
    `--model_name_or_path facebook/bart-large --dataset_name xsum ${SHARED} ` +
    '--metric_for_best_model rouge2 --val_max_target_length 60 --max_eval_samples 1600 ' +
    '--num_beams 6 --max_length 60 --min_length 10 --no_repeat_ngram_size 3',
};
const DEVICES = ['--device_ids', '0 1 2 3 4 5 6 7'];

function parse(flags: string): RunOptions {
  const command = runCommand().exitOverride();
  command.parseOptions(normalizeFlags([...flags.split(' '), ...DEVICES]));
  return command.opts();
}

/** The adapter of a configuration's first line on a model, as planning makes it. */
function plan({ compare, tasks, unfreeze_params }: SweepConfig, model_type: string) {
  return publishAdapter(compare[0]!.adapters[0]!, {
    backbone: {
      ...{ name: model_type, model_type, num_layers: 2 },
      ...(model_type === 'bart' ? { decoder: { intermediate_size: 8, num_layers: 2 } } : {}),
    },
    ...{ kind: tasks[0]!.kind, max_length: 384, pruned: false },
    unfreeze_params: unfreeze_params ?? DEFAULT_UNFREEZE_PARAMS,
  });
}

describe('the scripts as they stand', () => {
  test.each(['glue', 'qa', 'summarization'] as const)('%s has its rows, rate and rules', (name) => {
    const config = buildRequest(parse(SCRIPTS[name])).config;
    expect(config.compare[0]).toMatchObject({ rules: 'official', sparsity: [0] });
    expect(trainOf(config.tasks[0])).toMatchObject({
      ...{ batch_size: 384, loss_parts: 8, learning_rate: 1e-4, weight_decay: 0.1 },
      ...{ epochs: 10, warmup: 0 },
    });
    expect(config.unfreeze_params).toBe('ef_');
  });

  test('glue has the published model: a frozen head, and its places of adapters', () => {
    const planned = plan(buildRequest(parse(SCRIPTS.glue)).config, 'roberta');
    expect(planned).toMatchObject({
      adapter: {
        ...{ frozen: ['head.*'], inner_dropout: true, ffn_after_dropout: true },
        ...{ attention_scale: 1, attention_norm: 'before', attention_init: 'gaussian' },
      },
    });
  });

  test('what their programs cannot run is refused with the nearest form', () => {
    expect(plan(buildRequest(parse(SCRIPTS.qa)).config, 'roberta')).toEqual({
      problem: expect.stringMatching(
        /cannot run RoBERTa on questions .*nearest here: a BERT/,
      ) as string,
    });
    expect(plan(buildRequest(parse(SCRIPTS.qa)).config, 'bert')).toHaveProperty('adapter');
    expect(plan(buildRequest(parse(SCRIPTS.summarization)).config, 'bart')).toEqual({
      problem: expect.stringMatching(/BART's attention .*nearest here: attention: none/) as string,
    });
  });

  test('what is left out is said in one line', () => {
    const said = explainFlags(parse(SCRIPTS.glue));
    expect(said.map(([about]) => about)).toEqual(['compat official', 'left out', 'rows per step']);
    expect(said[1]![1]).toContain('--output_dir');
  });

  test('a program may be named, and its flags follow', () => {
    const flags = ['--task_name', 'rte', '--pruner', 'snip', '--sparsity', '0.4'];
    const { name, options } = readProgram('glue', flags, runCommand().opts());
    const { config } = buildRequest(options, name);
    expect(config).toMatchObject({
      max_length: 128,
      tasks: [{ name: 'rte' }],
      compare: [{ rules: 'official', pruner: ['snip'] }],
    });
    expect(trainOf(config.tasks[0])).toMatchObject({
      ...{ batch_size: 16, epochs: 3, learning_rate: 5e-5 },
    });
    expect(() => readProgram('gleu', [], {} as RunOptions)).toThrow('one of glue, qa');
    expect(() => readProgram('glue', ['--task_nam', 'x'], {} as RunOptions)).toThrow(
      '--task-nam is not a flag',
    );
  });

  test.each([
    ['--fp16', '--fp16: the published Apex and AMP paths'],
    ['--reinitialize --sparsity 0.5', '--reinitialize'],
    ['--load_path x', '--load-path: a run starts'],
    ['--lr_scheduler_type cosine', '--lr-scheduler-type: cosine is not implemented'],
  ])('what would change results is refused: %s', (flags, message) => {
    expect(() => buildRequest(parse(`${SCRIPTS.glue} ${flags}`)).config).toThrow(message);
  });
});

describe('what only their models decide', () => {
  const flags = (program: 'glue' | 'summarization', attention: string) => {
    const given =
      program === 'glue'
        ? '--task_name mrpc --max_seq_length 128'
        : '--dataset_name xsum --max_source_length 64';
    const ffn = '--ffn_mode adapter --ffn_option sequential --ffn_bn 8';
    return buildRequest({ ...parse(`${given} ${attention} ${ffn}`), compat: 'official' }).config;
  };
  const modules = (attention: string, model: 'roberta' | 'bert') =>
    plan(flags('glue', attention), model);

  test.each([
    ['--attn_mode prefix --attn_option sequential', 'roberta'],
    ['--attn_mode prefix --attn_option none', 'roberta'],
    ['--attn_mode prefix --attn_option concat', 'bert'],
    ['--attn_mode prefix --attn_option cross_attn', 'bert'],
    ['--attn_mode adapter --attn_option cross_attn', 'roberta'],
    ['--attn_mode prompt_tuning', 'bert'],
  ] as const)('%s is not read by %s', (attention, model) => {
    expect(modules(attention, model)).toMatchObject({
      adapter: { attention: 'none', ffn: 'sequential' },
    });
  });

  test.each([
    ['glue', '--attn_mode lora --attn_composition gate_add', 'gate_add with lora in an encoder'],
    ['glue', '--attn_mode bitfit --attn_composition gate_add', 'with bitfit in an encoder'],
    [
      'glue',
      '--attn_mode prefix --attn_option concat --attn_composition gate_add',
      'gate_add with prefix in an encoder',
    ],
    [
      'summarization',
      '--attn_mode prefix --attn_option concat --attn_composition gate_add',
      'gate_add with prefix and option concat on BART',
    ],
    [
      'summarization',
      '--attn_mode prefix --attn_option parallel',
      'parallel with a prefix on BART',
    ],
  ] as const)('%s cannot run %s', (program, attention, message) => {
    expect(() => flags(program, attention)).toThrow(message);
  });

  test('cross attention of a prefix ends with an error in RoBERTa alone', () => {
    expect(modules('--attn_mode prefix --attn_option cross_attn', 'roberta')).toEqual({
      problem: expect.stringContaining('cross_attn with RoBERTa') as string,
    });
  });
});

const PROGRAMS = { g: 'glue', q: 'qa', s: 'summarization' } as const;

test('the table of docs/published-scripts.md has every flag, as it is treated', () => {
  const rows = PUBLISHED_FLAGS.map(({ flag, programs, group, treatment, note, harmless }) => {
    const letters = [...programs] as (keyof typeof PROGRAMS)[];
    const which = letters.length === 3 ? 'all' : letters.map((each) => PROGRAMS[each]).join(', ');
    const without = harmless ? `; left out at ${harmless[0] || 'an empty value'}` : '';
    return `| \`--${flag}\` | ${which} | ${group} | ${treatment} | ${note}${without} |`;
  });
  const docs = readFileSync(join(__dirname, '../../../docs/published-scripts.md'), 'utf8');
  const shown = docs.split('\n').filter((line) => line.startsWith('| `--'));
  expect(shown).toEqual(rows);
  expect(new Set(PUBLISHED_FLAGS.map(({ flag }) => flag)).size).toBe(PUBLISHED_FLAGS.length);
});
