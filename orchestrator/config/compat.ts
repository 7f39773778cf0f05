/** The values of `compat`. Pure. */

export const COMPAT_NAMES = ['none', 'official'] as const;

/**
 * `official`: the mask rules of the code published with SparseAdapter, its meaning of sparsity (the
 * fraction kept) and its defaults. `none`, the default: this project's own rules.
 */
export type Compat = (typeof COMPAT_NAMES)[number];

/** The `compat` of unchecked settings; `fallback` if it is missing or wrong. */
export function readCompat(settings: unknown, fallback: Compat = 'none'): Compat {
  const { compat } = (settings ?? {}) as { compat?: unknown };
  return COMPAT_NAMES.find((name) => name === compat) ?? fallback;
}
