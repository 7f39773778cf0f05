/**
 * What a trial's modules compute, and where, as in Adapter of job.proto. Each method may release
 * inputs that are not read any more.
 */
import { ACTIVATIONS } from '../../common/vocabulary/activations';
import {
  ATTENTION_MODULES,
  type AttentionModuleName,
} from '../../common/vocabulary/attention-modules';
import { FFN_MODULES, type FfnModuleName } from '../../common/vocabulary/ffn-modules';
import { findWord, type Vocabulary } from '../../common/vocabulary/vocabulary';
import {
  AdapterNorm,
  AttentionModule,
  FfnModule,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { key } from '../host/random';
import type { AttentionDropout } from './attention';
import { hasBiases } from './layout';
import {
  add,
  addRow,
  dropout,
  layerNorm,
  linear,
  multiply,
  nonLinear,
  replaced,
} from './operations';
import { release, type Tape, type Value } from './tape';

/** PyTorch's default, for a module's own norm. */
const EPS = 1e-5;

/** A trial's dropout at one of its steps, counted from 1. */
export interface Dropout {
  seed: number;
  step: number;
  probability: number;
  attentionProbability: number;
}

export class TrialModules {
  /** tensors: the trial's tensors by name. */
  constructor(
    private readonly tape: Tape,
    private readonly adapter: Adapter,
    private readonly tensors: Record<string, Value>,
    private readonly dropout?: Dropout,
  ) {}

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

  /**
   * Logits [n, num_labels] of hidden states [n, d]: out(drop(tanh(dense(drop(h))))), or out(h) in a
   * head without dense.
   */
  logits(hidden: Value): Value {
    const { tape } = this;
    let x = hidden;
    if ('head.dense.weight' in this.tensors) {
      const dense = linear(
        tape,
        this.dropped(x, 'head.dense'),
        this.tensor('head.dense.weight'),
        this.tensor('head.dense.bias'),
      );
      x = this.dropped(nonLinear(tape, dense, 'tanh'), 'head.out');
    }
    return linear(tape, x, this.tensor('head.out.weight'), this.tensor('head.out.bias'));
  }

  /** x with the trial's dropout, keyed by the site's name. The gradient does not read x. */
  dropped(x: Value, site: string): Value {
    if (!this.dropout || this.dropout.probability === 0) return x;
    return dropout(this.tape, x, this.dropout.probability, this.dropoutKey(site));
  }

  /** Adds what is trained for a frozen bias, if biases are trained; there is no module then. */
  private biased(output: Value, site: string): Value {
    if (!hasBiases(this.adapter)) return output;
    return replaced(output, addRow(this.tape, output, this.tensor(`${site}.bias`)));
  }

  private get isLoraBesideAttention(): boolean {
    return this.adapter.attention === AttentionModule.ATTENTION_MODULE_LORA;
  }

  /** (x +) s · up(f(down(x))) for x [n, d], normalized before or after, as the adapter says. */
  bottleneck(at: string, x: Value, residual: boolean): Value {
    const { tape, adapter } = this;
    const norm = (y: Value): Value =>
      layerNorm(tape, y, {
        weight: this.tensor(`${at}.norm.weight`),
        bias: this.tensor(`${at}.norm.bias`),
        eps: EPS,
      });
    const before = adapter.norm === AdapterNorm.ADAPTER_NORM_BEFORE ? norm(x) : x;
    const inner = linear(
      tape,
      before,
      this.tensor(`${at}.down.weight`),
      this.tensor(`${at}.down.bias`),
    );
    const activated = replaced(
      inner,
      nonLinear(tape, inner, findWord(ACTIVATIONS, adapter.activation)!),
    );
    const up = linear(
      tape,
      activated,
      this.tensor(`${at}.up.weight`),
      this.tensor(`${at}.up.bias`),
    );
    const out = replaced(up, multiply(tape, up, adapter.scale));
    const sum = residual ? replaced(out, add(tape, out, x)) : out;
    return adapter.norm === AdapterNorm.ADAPTER_NORM_AFTER ? replaced(sum, norm(sum)) : sum;
  }

  /** scale · (α / r) · up(down(x)). */
  lowRank(at: string, x: Value, scale = 1): Value {
    const down = this.tensor(`${at}.down.weight`);
    const up = linear(this.tape, linear(this.tape, x, down), this.tensor(`${at}.up.weight`));
    return replaced(
      up,
      multiply(this.tape, up, (scale * this.adapter.loraAlpha) / down.tensor.shape[0]),
    );
  }

  /** The sum of two values, which it releases. */
  plus(a: Value, b: Value): Value {
    const sum = add(this.tape, a, b);
    release(a, b);
    return sum;
  }

  private dropoutKey(site: string): readonly [number, number] {
    const bits = key(this.dropout!.seed, 'dropout', this.dropout!.step, site);
    return [Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n))];
  }

  private tensor(name: string): Value {
    return this.tensors[name]!;
  }
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
