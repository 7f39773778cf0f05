/** What `compat` says, wherever it stands. Pure. */

export const COMPAT_NAMES = ['none', 'official'] as const;

/**
 * `official`: masks by the rules of the code published with SparseAdapter, that code's meaning of
 * sparsity (the fraction kept) and its defaults. `none`, the default: what this project says of
 * itself.
 */
export type Compat = (typeof COMPAT_NAMES)[number];

/**
 * What settings that are not checked yet say; where they say nothing, or what is wrong, `fallback`.
 */
export function readCompat(settings: unknown, fallback: Compat = 'none'): Compat {
  const { compat } = (settings ?? {}) as { compat?: unknown };
  return COMPAT_NAMES.find((name) => name === compat) ?? fallback;
}
