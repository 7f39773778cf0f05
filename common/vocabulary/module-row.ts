/** The type of the rows in attention-modules.ts and ffn-modules.ts. */

/**
 * The parts of a module: a bottleneck (down, up, biases, perhaps a norm), a low-rank product (down,
 * up), trained keys and values, or trained tokens.
 */
export type ModuleForm = 'bottleneck' | 'low_rank' | 'prefix' | 'prompt';

/** The widths of a layer's hidden state, attention queries and feed-forward block. */
export type LayerWidth = 'hidden' | 'attention' | 'inner';

/** The prunable pair of matrices at a site: down [r, inputs] and up [outputs, r]. */
export interface MatrixPair {
  /** As in tensor names. */
  readonly site: string;
  readonly inputs: LayerWidth;
  readonly outputs: LayerWidth;
}

export interface ModuleRow {
  /** null: no module. */
  readonly form: ModuleForm | null;
  /** Per layer; for attention modules, per attention of the layer. */
  readonly matrices: readonly MatrixPair[];
  /** r if a sweep file sets none. */
  readonly bottleneck: number;
  readonly paper: string | null;
  /**
   * Its names in the scripts published with SparseAdapter: a mode, and for mode `adapter` an option
   * that says where the module is. Several modes if they differ in what is a setting here.
   */
  readonly flags: { readonly modes: readonly string[]; readonly option?: string };
  /** Whether it needs blocks that normalize their sum, unlike those of T5. */
  readonly needsNormalizedSum?: boolean;
}
