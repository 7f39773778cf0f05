/**
 * What the writers of other libraries' forms read of an adapter. A field or a word that is not
 * listed here is refused, so that what the contract gains later is never left out unnoticed.
 */
import type { AdapterConfig } from '../sweep/types';

/** Fields that are read; of those that tell forms apart, the words that are known. */
const READ: { readonly [Field in keyof AdapterConfig]?: readonly AdapterConfig[Field][] | 'any' } =
  {
    attention: ['none', 'sequential', 'parallel', 'lora', 'prefix', 'prompt'],
    ffn: ['none', 'sequential', 'parallel', 'lora', 'after_norm'],
    norm: ['none', 'before', 'after'],
    activation: ['relu', 'gelu', 'swish'],
    unfrozen: ['none', 'biases', 'all'],
    attention_bottleneck: 'any',
    ffn_bottleneck: 'any',
    scale: 'any',
    lora_alpha: 'any',
    prefix_hidden: 'any',
  };

/** Fields that shape training alone: a finished adapter computes the same without them. */
const OF_TRAINING: ReadonlySet<string> = new Set<keyof AdapterConfig>([
  'init',
  'init_std',
  'attention_init',
  'prefix_init',
  'inner_dropout',
  'ffn_after_dropout',
  'frozen',
  // Beyond training, only `concat` depends on it, which is not read.
  'padded_tokens',
]);

/** Fields that change nothing where they are equal to another. */
const LIKE: { readonly [field: string]: keyof AdapterConfig } = {
  attention_scale: 'scale',
  attention_norm: 'norm',
};

type Fields = readonly (keyof AdapterConfig)[];

/** The first setting that no such writer reads, such as `attention: concat`; null without one. */
function findUnread(adapter: AdapterConfig, alsoRead: Fields): string | null {
  for (const [field, value] of Object.entries(adapter) as [keyof AdapterConfig, unknown][]) {
    if (OF_TRAINING.has(field) || alsoRead.includes(field) || isUnset(value)) continue;
    const read: readonly unknown[] | 'any' | undefined = READ[field];
    if (read === 'any' || read?.includes(value)) continue;
    if (field in LIKE && value === adapter[LIKE[field]!]) continue;
    return `${field}: ${JSON.stringify(value).replaceAll('"', '')}`;
  }
  return null;
}

/** As an absent field: what proto3 takes for one that is not set. */
function isUnset(value: unknown): boolean {
  return !value || (Array.isArray(value) && value.length === 0);
}

/**
 * Why a library's form cannot hold an adapter; null if its own writer can tell.
 *
 * @param alsoRead fields that this writer reads beside those of all
 */
export function describeLaterForm(adapter: AdapterConfig, alsoRead: Fields = []): string | null {
  const unread = findUnread(adapter, alsoRead);
  if (unread === null) return null;
  return unread.startsWith('unfrozen_tensors')
    ? `it adds to a backbone and cannot replace its tensors, as \`${unread}\` does`
    : `no form but this project's own has \`${unread}\``;
}
