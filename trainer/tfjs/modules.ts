/**
 * What a trial's modules compute, and where, as in Adapter of job.proto. Each method may release
 * inputs that are not read any more.
 */
import {
  ATTENTION_MODULES,
  type AttentionModuleName,
} from '../../common/vocabulary/attention-modules';
import { FFN_MODULES, type FfnModuleName } from '../../common/vocabulary/ffn-modules';
import { findWord, type Vocabulary } from '../../common/vocabulary/vocabulary';
import {
  AttentionModule,
  FfnModule,
  PrefixUse,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { attendApart, type AttentionDropout, type KeyValue } from './attention';
import { hasBiases, hasPrefix } from './layout';
import { ModuleParts, type Dropout } from './module-parts';
import { addRow, linear, nonLinear, replaced } from './operations';
import type { Tape, Value } from './tape';

export class TrialModules extends ModuleParts {
  /** By layer: what a prefix's MLP makes. For the whole pass, so it is made before the first. */
  private readonly made: readonly KeyValue[];

  constructor(tape: Tape, adapter: Adapter, tensors: Record<string, Value>, dropout?: Dropout) {
    super(tape, adapter, tensors, dropout);
    this.made = hasPrefix(adapter) && adapter.prefixHidden > 0 ? this.makePrefixes() : [];
  }

  /** Whether activated inner values are read after the block's output projection. */
  get readsActivated(): boolean {
    return this.adapter.ffn === FfnModule.FFN_MODULE_LORA;
  }

  /** Whether the sum before the feed-forward block's norm is read after it. */
  get isAfterNorm(): boolean {
    return this.adapter.ffn === FfnModule.FFN_MODULE_AFTER_NORM;
  }

  /**
   * A projection's output [n, d] (ffn_in: [n, f]) plus what is trained for it; input: the
   * projection's, [n, d].
   */
  beside(
    site: 'query' | 'value' | 'ffn_in',
    layer: number,
    output: Value,
    input: Value,
    scale = 1,
  ): Value {
    const at = `layers.${layer}.${site}`;
    if (hasBiases(this.adapter))
      return replaced(output, addRow(this.tape, output, this.tensor(`${at}.bias`), scale));
    const module =
      site === 'ffn_in'
        ? this.adapter.ffn === FfnModule.FFN_MODULE_LORA
        : this.isLoraBesideAttention;
    return module ? this.plus(output, this.lowRank(at, input, scale)) : output;
  }

  /** Keys and values that precede those of every row's tokens. */
  prefix(layer: number): KeyValue | undefined {
    const isJoined = this.adapter.prefixUse === PrefixUse.PREFIX_USE_UNSPECIFIED;
    return isJoined ? this.findPrefix(layer) : undefined;
  }

  /** Keys and values [tokens, d], made of the tokens' own, that precede these. */
  before(layer: number, own: KeyValue): KeyValue | undefined {
    if (this.adapter.attention !== AttentionModule.ATTENTION_MODULE_CONCAT) return undefined;
    const at = `layers.${layer}.attention`;
    return [this.bottleneck(at, own[0], false), this.bottleneck(at, own[1], false)];
  }

  /**
   * What attention gives [n, d], plus what a module adds to it. query [n, d]: scaled; input: the
   * layer's; project: the layer's query projection, scaled.
   */
  context(
    layer: number,
    context: Value,
    query: Value,
    input: Value,
    heads: number,
    project: (x: Value) => Value,
  ): Value {
    const { attention, prefixUse } = this.adapter;
    if (attention === AttentionModule.ATTENTION_MODULE_PARALLEL_CONTEXT)
      return this.plus(context, this.bottleneck(`layers.${layer}.attention`, input, false));
    if (prefixUse === PrefixUse.PREFIX_USE_UNSPECIFIED) return context;
    const isNormed = prefixUse === PrefixUse.PREFIX_USE_CROSS;
    const own = isNormed ? project(this.ownNorm(`layers.${layer}.transform_norm`, input)) : query;
    const weighing = prefixUse === PrefixUse.PREFIX_USE_CROSS_RELU ? 'relu' : 'softmax';
    return this.plus(
      context,
      attendApart(this.tape, own, this.findPrefix(layer)!, heads, weighing),
    );
  }

  /** The attention block's output [n, d] before residual and norm; input: the block's. */
  attentionOutput(layer: number, output: Value, input: Value): Value {
    const at = `layers.${layer}.attention`;
    const module = rowIn(ATTENTION_FORMS, ATTENTION_MODULES, this.adapter.attention);
    const result = module(this, { at, output, input });
    return this.dropped(this.biased(result, `${at}_output`), at);
  }

  /**
   * The feed-forward block's output [n, d] before residual and norm; input: the block's; activated:
   * its inner values [n, f].
   */
  ffnOutput(layer: number, output: Value, input: Value, activated: Value): Value {
    const at = `layers.${layer}.ffn`;
    const module = rowIn(FFN_FORMS, FFN_MODULES, this.adapter.ffn);
    if (this.isAfterDropout)
      return module(this, { at, output: this.dropped(output, at), input, activated });
    const result = module(this, { at, output, input, activated });
    return this.dropped(this.biased(result, `${at}_out`), at);
  }

  /** A(x) of AFTER_NORM, without the residual. */
  afterNorm(layer: number, x: Value): Value {
    return this.bottleneck(`layers.${layer}.ffn`, x, false);
  }

  /** The layer's norm, plus what is trained for its bias. */
  norm(site: 'attention_norm' | 'ffn_norm', layer: number, output: Value): Value {
    if (!hasBiases(this.adapter)) return output;
    return replaced(output, addRow(this.tape, output, this.tensor(`layers.${layer}.${site}.bias`)));
  }

  attentionDropout(layer: number): AttentionDropout | undefined {
    if (!this.dropout || this.dropout.attentionProbability === 0) return undefined;
    return {
      probability: this.dropout.attentionProbability,
      key: (group) => this.dropoutKey(`layers.${layer}.attention.weights.${group}`),
    };
  }

  /** The head's logits, with the trial's dropout. */
  logits(hidden: Value): Value {
    return headLogits(this.tape, this.tensors, hidden, (x, site) => this.dropped(x, site));
  }

  /** Adds what is trained for a frozen bias, if biases are trained; there is no module then. */
  private biased(output: Value, site: string): Value {
    if (!hasBiases(this.adapter)) return output;
    return replaced(output, addRow(this.tape, output, this.tensor(`${site}.bias`)));
  }

  private get isLoraBesideAttention(): boolean {
    return this.adapter.attention === AttentionModule.ATTENTION_MODULE_LORA;
  }

  /** Whether the module at the feed-forward block is after the block's dropout. */
  private get isAfterDropout(): boolean {
    const { ffn, ffnAfterDropout } = this.adapter;
    const isBesideOutput =
      ffn === FfnModule.FFN_MODULE_SEQUENTIAL || ffn === FfnModule.FFN_MODULE_PARALLEL;
    return ffnAfterDropout && isBesideOutput;
  }

  private findPrefix(layer: number): KeyValue | undefined {
    if (!hasPrefix(this.adapter)) return undefined;
    const at = `layers.${layer}.prefix`;
    return this.made[layer] ?? [this.tensor(`${at}.key`), this.tensor(`${at}.value`)];
  }
}

/**
 * Logits [n, num_labels] of hidden states [n, d]: out(drop(tanh(dense(drop(h))))), or out(h) in a
 * head without dense. tensors: with the head's, by name.
 */
export function headLogits(
  tape: Tape,
  tensors: Record<string, Value>,
  hidden: Value,
  drop: (x: Value, site: string) => Value = (x) => x,
): Value {
  const layer = (name: string, x: Value): Value =>
    linear(tape, x, tensors[`${name}.weight`]!, tensors[`${name}.bias`]);
  if (!('head.dense.weight' in tensors)) return layer('head.out', hidden);
  const dense = layer('head.dense', drop(hidden, 'head.dense'));
  return layer('head.out', drop(nonLinear(tape, dense, 'tanh'), 'head.out'));
}

/** A module's place: its tensors' names begin with `at`. */
interface Block {
  at: string;
  /** [n, d], before residual and norm. */
  output: Value;
  /** [n, d]. */
  input: Value;
}

type Form<B extends Block> = (modules: TrialModules, block: B) => Value;

const unchanged: Form<Block> = (_, { output }) => output;
const sequential: Form<Block> = (modules, { at, output }) => modules.bottleneck(at, output, true);
const parallel: Form<Block> = (modules, { at, output, input }) =>
  modules.plus(output, modules.bottleneck(at, input, false));

/**
 * What each module makes of its block's output. The capabilities list the modules in these tables.
 */
export const ATTENTION_FORMS = {
  none: unchanged,
  sequential,
  parallel,
  // Is at query and value.
  lora: unchanged,
  // Are within attention.
  prefix: unchanged,
  parallel_context: unchanged,
  concat: unchanged,
} as const satisfies Partial<Record<AttentionModuleName, Form<Block>>>;

/** activated: the block's inner values [n, f]. */
export const FFN_FORMS = {
  none: unchanged,
  sequential,
  parallel,
  lora: (modules, { at, output, activated }) =>
    modules.plus(output, modules.lowRank(`${at}_out`, activated)),
  // Is after the block's norm.
  after_norm: unchanged,
} as const satisfies Partial<Record<FfnModuleName, Form<Block & { activated: Value }>>>;

/** A table's entry for a value of the contract; jobs with other values are refused earlier. */
function rowIn<Word extends string, T>(
  table: Partial<Record<Word, T>>,
  vocabulary: Vocabulary<Word, { readonly proto: number }>,
  proto: number,
): T {
  const word = findWord(vocabulary, proto);
  const row = word && table[word];
  if (row === undefined) throw new RangeError(`${word ?? proto} is not built here`);
  return row;
}
