/**
 * Every flag of the three programs published with SparseAdapter (run_glue_sparse.py, run_qa.py and
 * run_summarization_sparse.py) and what `sa-orch run` does with it. docs/published-scripts.md is
 * this table.
 */

/** The programs: g for GLUE, q for questions, s for summaries. */
type Programs = 'g' | 'q' | 's' | 'gq' | 'qs' | 'gqs' | 'gs';

export interface PublishedFlag {
  /** As they write it, without dashes. */
  readonly flag: string;
  readonly programs: Programs;
  /** The class of arguments that has it. */
  readonly group: 'model' | 'data' | 'training' | 'generation' | 'tune' | 'prune';
  /**
   * done: it does what it does there; left out: it has no meaning here, or none there; refused: it
   * would change results, and cannot be done.
   */
  readonly treatment: 'done' | 'left out' | 'refused';
  readonly note: string;
  /** Values of a refused flag that change nothing, and are left out. */
  readonly harmless?: readonly string[];
}

type Row = readonly [flag: string, programs: Programs, note: string, harmless?: readonly string[]];

function rows(
  group: PublishedFlag['group'],
  treatment: PublishedFlag['treatment'],
  list: readonly Row[],
): PublishedFlag[] {
  return list.map(([flag, programs, note, harmless]) => ({
    flag,
    programs,
    group,
    treatment,
    note,
    ...(harmless ? { harmless } : {}),
  }));
}

const OFF = ['false', 'False', 'FALSE', '0', 'no', 'f', 'n'] as const;
const ALWAYS = 'a run always trains, and evaluates its last state';
const LAST_STATE = 'the last state is reported, as there, where nothing is evaluated before it';
const OWN_FILES = 'describe a task of your own in a sweep file (README.md, "Your own rows")';
const WRITES = 'checkpoints are written as needed, and results are the same';
const LOGS = 'losses are in metrics.jsonl of the trial';
const SPEED = 'affects speed and memory only';
const DISTRIBUTED = 'one process trains here; several devices of one are --device_ids';
const HUB = 'nothing is uploaded';
const UNREAD = 'the published code reads it nowhere';
const FP16 = 'the published Apex and AMP paths are not implemented; use --precision bf16';

export const PUBLISHED_FLAGS: readonly PublishedFlag[] = [
  ...rows('model', 'done', [['model_name_or_path', 'gqs', '--backbone']]),
  ...rows('model', 'left out', [
    ['cache_dir', 'gqs', 'set SA_ORCH_CACHE instead'],
    ['use_fast_tokenizer', 'gs', 'tokenizers here give the tokens of the fast ones'],
    ['use_auth_token', 'gqs', 'downloads take HF_TOKEN'],
  ]),
  ...rows('model', 'refused', [
    ['config_name', 'gqs', "the configuration is the backbone's"],
    ['tokenizer_name', 'gqs', "the tokenizer is the backbone's"],
    ['model_revision', 'gqs', 'download the revision and give its directory', ['main']],
    ['use_moe', 'qs', 'mixtures of experts are not implemented', OFF],
  ]),
  ...rows('data', 'done', [
    ['task_name', 'g', '--task'],
    ['dataset_name', 'gqs', '--task, for squad, squad_v2, xsum and cnn_dailymail'],
    ['max_seq_length', 'gq', '--max-seq-length; 128 for GLUE, 384 for questions'],
    ['max_source_length', 's', '--max-seq-length; 1024'],
    ['max_target_length', 's', '--max-target-length; 128'],
    ['doc_stride', 'q', '--doc-stride; 128'],
    ['max_train_samples', 'gqs', '--rows: a random choice keyed with the data, not the first ones'],
    ['max_eval_samples', 'gqs', 'validation_rows of a sweep file'],
    ['version_2_with_negative', 'q', 'follows from the data set: squad_v2 has such questions'],
  ]),
  ...rows('data', 'left out', [
    ['overwrite_cache', 'gqs', 'data sets are named by their digests'],
    ['preprocessing_num_workers', 'qs', SPEED],
    ['pad_to_max_length', 'gqs', 'padding is computed only where results depend on it'],
    ['max_predict_samples', 'gqs', 'rows without labels are not predicted by a run'],
    ['val_max_target_length', 's', 'references are not cut; --max_length limits what is written'],
    ['ignore_pad_token_for_loss', 's', 'no loss includes padding'],
  ]),
  ...rows('data', 'refused', [
    ['dataset_config_name', 'gqs', OWN_FILES, ['3.0.0']],
    ['train_file', 'gqs', OWN_FILES],
    ['validation_file', 'gqs', OWN_FILES],
    ['test_file', 'gqs', OWN_FILES],
    ['text_column', 's', OWN_FILES, ['document', 'article']],
    ['summary_column', 's', OWN_FILES, ['summary', 'highlights']],
    ['source_prefix', 's', 'texts are used unchanged', ['']],
    ['max_tokens_per_batch', 'gs', 'batches have a number of rows', ['0']],
    ['null_score_diff_threshold', 'q', 'score the answers with their no-answer file', ['0', '0.0']],
    ['n_best_size', 'q', 'the 20 best places are combined', ['20']],
    ['max_answer_length', 'q', 'answers have at most 30 tokens', ['30']],
  ]),
  ...rows('training', 'done', [
    ['per_device_train_batch_size', 'gqs', '--batch-size is this times the number of devices'],
    ['per_gpu_train_batch_size', 'gqs', 'the older name of the same'],
    ['device_ids', 'gqs', 'their number times the rows of each is a step; --device says where'],
    ['length', 'gqs', '32 scoring rows for each: --scoring-rows; 10'],
    ['gradient_accumulation_steps', 'gqs', 'train.accumulated_batches'],
    ['learning_rate', 'gqs', '--learning-rate; 5e-5'],
    ['weight_decay', 'gqs', '--weight-decay; 0'],
    ['adam_beta1', 'gqs', 'train.adam_beta1'],
    ['adam_beta2', 'gqs', 'train.adam_beta2'],
    ['adam_epsilon', 'gqs', 'train.adam_epsilon'],
    ['max_grad_norm', 'gqs', 'train.max_grad_norm'],
    ['num_train_epochs', 'gqs', '--epochs; 3'],
    ['max_steps', 'gqs', 'train.steps'],
    ['lr_scheduler_type', 'gqs', 'train.schedule: linear, or constant'],
    ['warmup_ratio', 'gqs', '--warmup-ratio; 0'],
    ['seed', 'gqs', '--seed; its random draws are others than there'],
    ['label_smoothing_factor', 'gqs', '--label-smoothing; 0'],
  ]),
  ...rows('training', 'left out', [
    ['output_dir', 'gqs', 'files of a trial are in trials/<id>/ of --root'],
    ['overwrite_output_dir', 'gqs', 'nothing is overwritten; finished trials are not rerun'],
    ['do_train', 'gqs', ALWAYS],
    ['do_eval', 'gqs', ALWAYS],
    ['do_predict', 'gqs', 'predictions for the validation rows are kept'],
    ['prediction_loss_only', 'gqs', 'metrics are always computed'],
    ['per_device_eval_batch_size', 'gqs', 'predictions do not depend on it'],
    ['per_gpu_eval_batch_size', 'gqs', 'predictions do not depend on it'],
    ['eval_accumulation_steps', 'gqs', SPEED],
    ['evaluation_strategy', 'gqs', LAST_STATE],
    ['eval_steps', 'gqs', LAST_STATE],
    ['metric_for_best_model', 'gqs', 'has no effect there without --load_best_model_at_end'],
    ['greater_is_better', 'gqs', 'has no effect there without --load_best_model_at_end'],
    ['predict_with_generate', 's', 'summaries are always generated'],
    ['log_level', 'gqs', LOGS],
    ['log_level_replica', 'gqs', LOGS],
    ['log_on_each_node', 'gqs', LOGS],
    ['logging_dir', 'gqs', LOGS],
    ['logging_strategy', 'gqs', LOGS],
    ['logging_first_step', 'gqs', LOGS],
    ['logging_steps', 'gqs', LOGS],
    ['report_to', 'gqs', LOGS],
    ['run_name', 'gqs', LOGS],
    ['disable_tqdm', 'gqs', LOGS],
    ['save_strategy', 'gqs', WRITES],
    ['save_steps', 'gqs', WRITES],
    ['save_total_limit', 'gqs', WRITES],
    ['no_cuda', 'gqs', 'use --device cpu'],
    ['dataloader_num_workers', 'gqs', SPEED],
    ['dataloader_pin_memory', 'gqs', SPEED],
    ['group_by_length', 'gqs', 'has no effect there where rows are padded to one length'],
    ['length_column_name', 'gqs', 'has no effect without --group_by_length'],
    ['remove_unused_columns', 'gqs', 'only columns of the task are read'],
    ['label_names', 'gqs', 'labels are those of the task'],
    ['skip_memory_metrics', 'gqs', LOGS],
    ['use_legacy_prediction_loop', 'gqs', 'predictions do not depend on it'],
    ['ddp_find_unused_parameters', 'gqs', SPEED],
    ['tpu_metrics_debug', 'gqs', LOGS],
    ['debug', 'gqs', LOGS],
    ['push_to_hub', 'gqs', HUB],
    ['push_to_hub_model_id', 'gqs', HUB],
    ['push_to_hub_organization', 'gqs', HUB],
    ['push_to_hub_token', 'gqs', HUB],
    ['resume_from_checkpoint', 'gqs', 'the same command resumes from its last checkpoint'],
    ['ignore_data_skip', 'gqs', 'a resumed trial sees the rows of an undisturbed one'],
    ['fp16_opt_level', 'gqs', 'has no effect without --fp16'],
    ['fp16_backend', 'gqs', 'has no effect without --fp16'],
    ['fp16_full_eval', 'gqs', 'predictions have the precision of the training'],
  ]),
  ...rows('training', 'refused', [
    ['fp16', 'gqs', FP16, OFF],
    ['warmup_steps', 'gqs', 'use --warmup_ratio, a fraction of all steps', ['0']],
    ['dataloader_drop_last', 'gqs', 'the last batch of an epoch has the remaining rows', OFF],
    ['load_best_model_at_end', 'gqs', 'the last state is reported', OFF],
    ['adafactor', 'gqs', 'AdamW trains', OFF],
    ['sharded_ddp', 'gqs', DISTRIBUTED, ['']],
    ['deepspeed', 'gqs', DISTRIBUTED],
    ['local_rank', 'gqs', DISTRIBUTED, ['-1']],
    ['tpu_num_cores', 'gqs', DISTRIBUTED],
    ['mp_parameters', 'gqs', DISTRIBUTED, ['']],
    ['past_index', 'gqs', 'models without a past are trained', ['-1']],
    ['sortish_sampler', 's', 'rows come in random order', OFF],
  ]),
  ...rows('generation', 'done', [
    ['min_length', 's', '--min-length, without the start token'],
    ['max_length', 's', '--max-length, without the start token'],
    ['num_beams', 's', '--num-beams'],
    ['no_repeat_ngram_size', 's', '--no-repeat-ngram-size'],
    ['length_penalty', 's', '--length-penalty'],
  ]),
  ...rows('tune', 'done', [
    ['attn_mode', 'gqs', 'what that code cannot run is refused with the nearest form'],
    ['attn_option', 'gqs', 'adapters with another option build nothing there, and nothing here'],
    ['attn_composition', 'gqs', 'gate_add where it runs: prefixes of BART'],
    ['attn_bn', 'gqs', '--attn-bn; 200'],
    ['ffn_mode', 'gqs', '--ffn-mode'],
    ['ffn_option', 'gqs', '--ffn-option; none builds nothing'],
    ['ffn_bn', 'gqs', '--ffn-bn'],
    ['ffn_adapter_layernorm_option', 'gqs', 'of the feed-forward adapter alone, as there'],
    [
      'ffn_adapter_init_option',
      'gqs',
      'of the feed-forward adapter alone; where the loader keeps it',
    ],
    ['ffn_adapter_scalar', 'gqs', 'of the feed-forward adapter alone; learnable_scalar trains it'],
    ['mid_dim', 'gqs', '--mid-dim; 800'],
    [
      'unfreeze_params',
      'gqs',
      'parts of names of parameters; ef_, so that the head stays as drawn',
    ],
    ['lora_alpha', 'gqs', '--lora-alpha; 32'],
    ['lora_init', 'gqs', "of BART's feed-forward LoRA; encoders never get it there"],
  ]),
  ...rows('tune', 'refused', [
    ['load_path', 'gqs', 'a run starts from its own initialization', ['']],
    ['prefix_dropout', 'gqs', 'prefixes have no dropout of their own', ['0', '0.0']],
    ['lora_dropout', 'gqs', 'LoRA has no dropout of its own', ['0', '0.0']],
  ]),
  ...rows('prune', 'done', [
    ['sparsity', 'gqs', 'the fraction kept; 1 prunes nothing'],
    ['pruner', 'gqs', '--pruner'],
    ['mask_scope', 'gqs', '--scope'],
    ['prune_iterations', 'gqs', 'before how many epochs it prunes; 1'],
    ['begin', 'gqs', 'the first of these epochs; 0'],
    ['prune_epochs', 'gqs', '--rounds each time; 1'],
    ['compression_schedule', 'gqs', '--compression-schedule of these rounds'],
    ['invert', 'gqs', 'each score divided by its square, as there'],
    ['shuffle', 'gqs', 'changes nothing, as there'],
  ]),
  ...rows('prune', 'left out', [
    ['compression', 'gqs', UNREAD],
    ['structured', 'gqs', UNREAD],
    ['prune_bias', 'gqs', UNREAD],
    ['prune_batchnorm', 'gqs', UNREAD],
    ['prune_residual', 'gqs', UNREAD],
    ['prune_batch_size', 'gqs', UNREAD],
    ['prune_dataset_ratio', 'gqs', `${UNREAD}; --length sets the rows`],
  ]),
  ...rows('prune', 'refused', [
    ['reinitialize', 'gqs', 'ends there with AttributeError; --compat none can do it', OFF],
    ['prune_train_mode', 'gqs', 'scores are computed with dropout off', OFF],
  ]),
];
