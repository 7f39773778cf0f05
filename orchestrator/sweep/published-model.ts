/**
 * The model of the code published with SparseAdapter, as fields of an adapter: what it does with
 * the modules that a user asked for, and what it cannot run. Pure.
 */
import type { PrunerName } from '../../common/vocabulary/pruners';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { listModules } from './modules';
import { unfreeze } from './published-names';
import type { AdapterConfig, PlannedBackbone } from './types';

/** What the adapter becomes, or why the published code cannot run it. */
export type PublishedAdapter = { adapter: AdapterConfig } | { problem: string };

export interface PublishedContext {
  backbone: Pick<PlannedBackbone, 'model_type' | 'num_layers' | 'decoder' | 'name'>;
  /** A task family's kind. */
  kind: string;
  /** Tokens per row, to which its rows are padded. */
  max_length: number;
  /** `--unfreeze_params` */
  unfreeze_params: string;
  pruned: boolean;
}

/** What trains unless something else is asked for: whatever has this in its name. */
export const DEFAULT_UNFREEZE_PARAMS = 'ef_';

/** @param asked as the sweep file or the flags have it, complete */
export function publishAdapter(asked: AdapterConfig, context: PublishedContext): PublishedAdapter {
  const problem = findProblem(asked, context);
  if (problem !== null) return { problem };
  return modelAdapter(asked, context);
}

/** Without looking at whether the published program gets as far as computing it. */
export function modelAdapter(asked: AdapterConfig, context: PublishedContext): PublishedAdapter {
  const { backbone, kind, max_length } = context;
  const isPair = backbone.decoder !== undefined;
  const adapter = placeModules(
    withoutUnused(asked, backbone),
    isPair,
    kind,
    backbone.model_type === 'bert',
  );
  if (asked.unfrozen === 'all')
    return {
      problem: WHOLE_BACKBONE,
    };
  if (kind === 'question_answering' || adapter.attention === 'concat')
    adapter.padded_tokens = max_length;
  if (isPair) {
    const hasModule = adapter.attention !== 'none' || adapter.ffn !== 'none';
    if (context.unfreeze_params !== DEFAULT_UNFREEZE_PARAMS)
      return {
        problem:
          `unfreeze_params: "${context.unfreeze_params}" is not allowed with ${backbone.name}; ` +
          "must be ef_: an encoder–decoder's own tensors are not trained here",
      };
    return hasModule ? { adapter } : { problem: NOTHING };
  }
  const strings = asked.unfrozen === 'biases' ? 'bias' : context.unfreeze_params;
  if (strings === 'none')
    return {
      problem:
        'unfreeze_params: none ends the published program with an error; must be part of names, ' +
        'for example ef_',
    };
  const found = unfreeze(strings, adapter, backbone, kind);
  if (!found.trainsSomething) return { problem: NOTHING };
  return {
    adapter: {
      ...adapter,
      unfrozen: 'none',
      ...(found.frozen.length > 0 ? { frozen: found.frozen } : {}),
      ...(found.unfrozen_tensors.length > 0 ? { unfrozen_tensors: found.unfrozen_tensors } : {}),
    },
  };
}

const WHOLE_BACKBONE =
  'the published code trains the whole backbone only without modules; leave compat out';
const NOTHING =
  'the published code then has nothing to train, and ends in its first step with an error; ' +
  'choose a module, for example attention: sequential';

/** The published code builds some modules that nothing reads, and others not at all. */
function withoutUnused(
  asked: AdapterConfig,
  { model_type, decoder }: PublishedContext['backbone'],
): AdapterConfig {
  const nothing =
    asked.attention === 'prompt' ||
    (decoder !== undefined && asked.attention === 'concat') ||
    (model_type === 'bert' && asked.attention === 'prefix');
  return nothing
    ? { ...asked, attention: 'none', attention_bottleneck: 0, prefix_hidden: 0 }
    : asked;
}

function placeModules(
  asked: AdapterConfig,
  isPair: boolean,
  kind: string,
  isBert: boolean,
): AdapterConfig {
  const attention = ATTENTION_MODULES[asked.attention].form;
  const ffn = FFN_MODULES[asked.ffn].form;
  // Its loader draws these anew.
  const redraws = !isPair && (isBert || kind === 'question_answering');
  const ffnInit = (ffn === 'low_rank' && !isPair) || redraws ? 'gaussian' : asked.init;
  const adapter: AdapterConfig = {
    ...asked,
    attention: asked.attention === 'parallel' ? 'parallel_context' : asked.attention,
    scale: ffn === 'bottleneck' && !asked.learned_scale ? asked.scale : 1,
    norm: ffn === 'bottleneck' ? (asked.norm === 'after' ? 'update' : asked.norm) : 'before',
    init: ffn === null ? 'gaussian' : ffnInit,
    init_std: 0.02,
  };
  if (attention === 'bottleneck')
    Object.assign(adapter, {
      attention_scale: 1,
      attention_norm: 'before',
      attention_init: 'gaussian',
    });
  else if (attention === 'low_rank' && adapter.init !== 'gaussian')
    adapter.attention_init = 'gaussian';
  if (ffn !== 'bottleneck' && attention !== 'bottleneck') adapter.norm = 'none';
  if (ffn !== 'bottleneck') delete adapter.learned_scale;
  if (attention === 'bottleneck' || ffn === 'bottleneck') adapter.inner_dropout = true;
  if (adapter.ffn === 'sequential' || adapter.ffn === 'parallel') adapter.ffn_after_dropout = true;
  if (attention === 'prefix' && adapter.prefix_hidden > 0) adapter.prefix_init = 'torch';
  if (attention !== 'prefix') delete adapter.prefix_use;
  return adapter;
}

/** What ends the published program with an error, and the nearest form that works here. */
function findProblem(
  asked: AdapterConfig,
  { backbone, kind, pruned }: PublishedContext,
): string | null {
  const { attention, ffn, prefix_use } = asked;
  const cannot = (what: string, nearest: string) =>
    `the published code cannot run ${what}; nearest here: ${nearest}`;
  if (backbone.decoder !== undefined) {
    if (['sequential', 'parallel', 'parallel_context', 'lora', 'prompt'].includes(attention))
      return cannot(
        `a ${attention} module at BART's attention (ValueError at its start)`,
        'attention: none, a prefix, or the same without compat',
      );
    if (asked.unfrozen === 'biases') return cannot('BitFit on BART', 'the same without compat');
    if (ffn === 'after_norm')
      return cannot('pfeiffer adapters in BART (ValueError)', 'ffn: sequential or parallel');
    if (attention === 'concat' && pruned)
      return (
        'the published code builds BART adapters for concat that nothing reads, and ranks their ' +
        'weights with the others; nearest here: attention: none'
      );
    return null;
  }
  if (kind === 'question_answering' && backbone.model_type === 'roberta')
    return cannot(
      'RoBERTa on questions (TypeError: its forward takes no labels)',
      'a BERT backbone, or the same without compat',
    );
  // BERT never hands the prefix on to its attention.
  if (prefix_use !== undefined && backbone.model_type !== 'bert')
    return cannot(
      'cross_attn with RoBERTa (AttributeError: layer_norm_after)',
      'attention: prefix without prefix_use, or the same without compat',
    );
  if (backbone.model_type === 'bert' && attention === 'concat')
    return cannot('concatenated adapters in BERT (AttributeError)', 'a RoBERTa backbone');
  if (backbone.model_type === 'bert' && attention === 'prefix' && asked.prefix_hidden === 0)
    return cannot('a prefix without MLP in BERT (AttributeError)', 'a RoBERTa backbone');
  return null;
}

/**
 * Why the published code cannot prune LoRA whose rank is a width of its projection, null if it can:
 * it takes the frozen matrix for the one of a mask. At attention that is as large as the masks, and
 * is ranked if no gradient is needed.
 */
export function findFullRank(
  adapter: AdapterConfig,
  backbone: PlannedBackbone,
  pruner: PrunerName,
): string | null {
  const isLora = (name: string) => /(query|value|ffn_in|ffn_out)$/.test(name);
  const isRanked = (name: string) =>
    (pruner === 'rand' || pruner === 'mag') && /(query|value)$/.test(name);
  const wrong = listModules(adapter, backbone).find(
    ({ name, units, inputs, outputs }) =>
      isLora(name) && !isRanked(name) && [inputs, outputs].includes(units),
  );
  return wrong === undefined
    ? null
    : `the published code pairs a mask of LoRA of rank ${wrong.units} with the frozen weight, ` +
        'which has that width, and fails; nearest here: another rank';
}
