/**
 * The fields of a trial that the contract has gained since its first release, as the contract names
 * them. Unset, they change nothing; a trainer lists those that it handles (Capabilities.fields).
 */
export const LATER_FIELDS = {
  adapter: [
    'attention_scale',
    'attention_norm',
    'attention_init',
    'learned_scale',
    'inner_dropout',
    'ffn_after_dropout',
    'prefix_init',
    'prefix_use',
    'frozen',
    'unfrozen_tensors',
    'padded_tokens',
  ],
  prune: [
    'scoring_batch',
    'keeps_removed_weights',
    'keeps_scoring_gradients',
    'repeats',
    'scoring_head',
    'scoring_head_steps',
  ],
  train: ['optimizer', 'accumulated_batches', 'loss_parts'],
} as const;

type Part = keyof typeof LATER_FIELDS;

/** Configurations write names as the contract does, generated messages in camel case. */
const FIELDS = Object.entries(LATER_FIELDS).flatMap(([part, names]) =>
  names.map((name) => ({
    part: part as Part,
    name,
    camelCase: name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
  })),
);

/** Paths of the later fields that a trial sets, for example `adapter.frozen`. */
export function listLaterFields(trial: Readonly<Record<Part, object>>): string[] {
  return FIELDS.filter(({ part, name, camelCase }) => {
    const given = trial[part] as Record<string, unknown>;
    return isSet(given[name] ?? given[camelCase]);
  }).map(({ part, name }) => `${part}.${name}`);
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
