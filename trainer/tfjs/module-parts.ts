/** The parts that a trial's modules are made of, with its tensors and its dropout. */
import { ACTIVATIONS } from '../../common/vocabulary/activations';
import { findWord } from '../../common/vocabulary/vocabulary';
import { AdapterNorm, type Adapter } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { normAt, scaleAt, type Site } from '../host/adapter-parts';
import { key } from '../host/random';
import type { KeyValue } from './attention';
import {
  add,
  dropout,
  layerNorm,
  linear,
  multiply,
  multiplyBy,
  nonLinear,
  replaced,
  takeColumns,
} from './operations';
import { release, type Tape, type Value } from './tape';

/** PyTorch's default, for a module's own norm. */
const EPS = 1e-5;

/** A trial's dropout at one of its steps, counted from 1, in one of the step's parts. */
export interface Dropout {
  seed: number;
  step: number;
  part: number;
  probability: number;
  attentionProbability: number;
}

export class ModuleParts {
  /** tensors: the trial's tensors by name. */
  constructor(
    protected readonly tape: Tape,
    protected readonly adapter: Adapter,
    protected readonly tensors: Record<string, Value>,
    protected readonly dropout?: Dropout,
  ) {}

  /** x with the trial's dropout, keyed by the site's name. The gradient does not read x. */
  dropped(x: Value, site: string): Value {
    if (!this.dropout || this.dropout.probability === 0) return x;
    return dropout(this.tape, x, this.dropout.probability, this.dropoutKey(site));
  }

  /**
   * (x +) s · up(f(down(x))) for x [n, d], normalized as the adapter says. at: what its names begin
   * with.
   */
  bottleneck(at: string, x: Value, residual: boolean): Value {
    const { tape, adapter } = this;
    const site: Site = at.endsWith('attention') ? 'attention' : 'ffn';
    const place = normAt(adapter, site);
    const norm = (y: Value): Value => this.ownNorm(`${at}.norm`, y);
    const before = place === AdapterNorm.ADAPTER_NORM_BEFORE ? norm(x) : x;
    const [down, up] = ['down', 'up'].map((name) => `${at}.${name}`) as [string, string];
    const inner = this.projected(down, before);
    const activated = replaced(
      inner,
      nonLinear(tape, inner, findWord(ACTIVATIONS, adapter.activation)!),
    );
    const kept = adapter.innerDropout
      ? replaced(activated, this.dropped(activated, `${at}.inner`))
      : activated;
    const out = this.scaled(at, site, this.projected(up, kept));
    const update = place === AdapterNorm.ADAPTER_NORM_UPDATE ? replaced(out, norm(out)) : out;
    const sum = residual ? replaced(update, add(tape, update, x)) : update;
    return place === AdapterNorm.ADAPTER_NORM_AFTER ? replaced(sum, norm(sum)) : sum;
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

  /** Each layer's keys and values [length, d] that a prefix's MLP makes of its embedding. */
  protected makePrefixes(): KeyValue[] {
    const { tape } = this;
    const embedding = this.tensor('prefix.embedding');
    const inner = nonLinear(tape, this.projected('prefix.mlp.in', embedding), 'tanh');
    const out = this.projected('prefix.mlp.out', inner);
    const width = embedding.tensor.shape[1]!;
    const part = (index: number): Value => takeColumns(tape, out, index * width, width);
    const layers = out.tensor.shape[1]! / (2 * width);
    return Array.from({ length: layers }, (_, i) => [part(2 * i), part(2 * i + 1)] as const);
  }

  /** LN(x) with a trained norm of the trial. */
  protected ownNorm(at: string, x: Value): Value {
    const [weight, bias] = [this.tensor(`${at}.weight`), this.tensor(`${at}.bias`)];
    return layerNorm(this.tape, x, { weight, bias, eps: EPS });
  }

  /** The sum of two values, which it releases. */
  plus(a: Value, b: Value): Value {
    const sum = add(this.tape, a, b);
    release(a, b);
    return sum;
  }

  protected dropoutKey(site: string): readonly [number, number] {
    const { seed, step, part } = this.dropout!;
    // The first part draws like a step without parts.
    const bits = key(seed, 'dropout', step, part === 0 ? site : `${site} of part ${part}`);
    return [Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n))];
  }

  protected tensor(name: string): Value {
    return this.tensors[name]!;
  }

  /** s · x, with s trained or not. */
  private scaled(at: string, site: Site, x: Value): Value {
    if (site === 'ffn' && this.adapter.learnedScale)
      return multiplyBy(this.tape, x, this.tensor(`${at}.scale`));
    return replaced(x, multiply(this.tape, x, scaleAt(this.adapter, site)));
  }

  /** x · Wᵀ + b with a trained weight and bias. */
  private projected(at: string, x: Value): Value {
    return linear(this.tape, x, this.tensor(`${at}.weight`), this.tensor(`${at}.bias`));
  }
}
