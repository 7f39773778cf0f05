/** The recorded cases of the published code as trials, by way of the flags of `sa-orch run`. */
import { normalizeFlags } from '../../orchestrator/cli/options';
import { runCommand } from '../../orchestrator/cli/run';
import { buildRequest } from '../../orchestrator/cli/run-settings';
import { expandLine } from '../../orchestrator/sweep/compare';
import { DEFAULT_UNFREEZE_PARAMS, modelAdapter } from '../../orchestrator/sweep/published-model';
import { publishPrune, publishTrain } from '../../orchestrator/sweep/published-steps';
import type { PlannedBackbone, PruneConfig, Trial } from '../../orchestrator/sweep/types';

export interface Case {
  kind: 'model' | 'mask' | 'steps';
  arch: 'roberta' | 'bert' | 'bart';
  head: string;
  flags: string;
  status: string;
  script?: string;
  form?: string;
  workaround?: string;
  notes?: string[];
  training_args?: Record<string, unknown>;
}

export interface Records {
  cases: Record<string, Case>;
  forms: Record<string, { flags: string; workaround?: string }>;
}

/** Rows of an epoch and tokens of a row in all records. */
const ROWS = 40;
const TOKENS = 12;
const NOTHING_TRAINS = 'training would raise in backward';

/** A case, and whether the published code runs and trains it. */
export function readCase(records: Records, name: string): Case & { runs: boolean } {
  const found = records.cases[name]!;
  const trains = !(found.notes ?? []).some((note) => note.includes(NOTHING_TRAINS));
  return { ...found, runs: found.status === 'ok' && trains };
}

type Resolved = { trial: Pick<Trial, 'id' | 'seed' | 'adapter' | 'prune' | 'train'> };

export function resolveCase(records: Records, name: string): Resolved | { problem: string } {
  const found = records.cases[name]!;
  const form = found.form === undefined ? undefined : records.forms[found.form];
  const flags = [taskFlags(found), form?.flags ?? '', found.flags, trainingFlags(found)].join(' ');
  try {
    return { trial: planTrial(flags, found, Boolean(found.workaround ?? form?.workaround)) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function taskFlags({ head }: Case): string {
  if (head === 'lm') return '--dataset_name xsum --max_source_length 12';
  if (head === 'qa') return '--dataset_name squad --max_seq_length 12 --doc_stride 4';
  const task = { reg: 'stsb', cls3: 'mnli' }[head] ?? 'mrpc';
  return `--task_name ${task} --max_seq_length 12`;
}

/** Masks are recorded for several fractions; any will do. */
function trainingFlags({ kind, training_args: given = {} }: Case): string {
  const all = Object.entries(given).map(([flag, value]) =>
    value === true ? `--${flag}` : `--${flag} ${String(value)}`,
  );
  return [...all, ...(kind === 'mask' ? ['--num_train_epochs 2'] : [])].join(' ');
}

function planTrial(flags: string, { arch, kind }: Case, hasWorkaround: boolean) {
  const command = runCommand();
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  const words = flags.replace('--sparsity S', '--sparsity 0.5').split(/\s+/).filter(Boolean);
  command.parseOptions(normalizeFlags(words));
  const { config } = buildRequest({ ...command.opts(), compat: 'official' });
  const [task] = config.tasks;
  const { epochs, steps, ...settings } = task!.lines[0]![0]!.candidates[0]!.train;
  const batches = Math.ceil(ROWS / settings.batch_size);
  const steps_per_epoch = Math.max(1, Math.floor(batches / (settings.accumulated_batches ?? 1)));
  const context = {
    ...{ backbone: backboneOf(arch), task: task!.name, num_labels: 2, kind: task!.kind },
    ...{ steps_per_epoch, total_steps: steps ?? epochs! * steps_per_epoch, max_length: TOKENS },
    batch_size: settings.batch_size,
    unfreeze_params: config.unfreeze_params ?? DEFAULT_UNFREEZE_PARAMS,
  };
  const [line] = config.compare;
  const [compared] = hasWorkaround
    ? [{ ...worked(line!.adapters[0]!, context), prune: pruneOf() }]
    : expandLine(config.compare, 0, context);
  const train = publishTrain({
    ...settings,
    total_steps: context.total_steps,
    // As recorded, so that steps are not random.
    ...{ dropout: 0, attention_dropout: 0 },
  });
  const { adapter, prune } = compared;
  return { id: 't', seed: 1, adapter, prune, train };

  /** Without the checks of what the published programs can run. */
  function pruneOf(): PruneConfig {
    const [exact] = expandLine([{ ...line!, rules: 'exact' }], 0, context);
    const asOfficial: PruneConfig = { ...exact!.prune, rules: 'official' };
    return publishPrune(kind === 'model' ? exact!.prune : asOfficial, {
      ...{ steps_per_epoch, batch_size: settings.batch_size },
      ...{ begin_epoch: line!.progressive?.begin_epoch ?? 0, repeats: line!.repeats },
    });
  }
}

type Context = Parameters<typeof expandLine>[2];

function worked(asked: Parameters<typeof modelAdapter>[0], context: Context) {
  const found = modelAdapter(asked, { ...context, pruned: false });
  if ('problem' in found) throw new Error(found.problem);
  return found;
}

/** The tiny models of the records. */
function backboneOf(model_type: Case['arch']): PlannedBackbone {
  return {
    ...{ name: `tiny ${model_type}`, path: '/', digest: 'b', model_type, weights: 1 },
    ...{ hidden_size: 32, intermediate_size: 64, num_layers: 2, vocab_size: 100 },
    ...{ max_position_embeddings: 20, type_vocab_size: 1 },
    ...(model_type === 'bart' ? { decoder: { intermediate_size: 64, num_layers: 2 } } : {}),
  };
}
