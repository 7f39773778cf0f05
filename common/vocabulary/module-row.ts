/** What the rows of modules say, beside attention and beside the feed-forward block. */

/**
 * What a module is made of: a bottleneck (down, up, biases, perhaps a norm), a product of low rank
 * (down, up), trained keys and values, or trained tokens.
 */
export type ModuleForm = 'bottleneck' | 'low_rank' | 'prefix' | 'prompt';

/** Widths of a layer: of the hidden state, of attention's queries, of the feed-forward block. */
export type LayerWidth = 'hidden' | 'attention' | 'inner';

/** A site's prunable pair: down [r, inputs] and up [outputs, r]. */
export interface MatrixPair {
  /** As in the tensors' names. */
  readonly site: string;
  readonly inputs: LayerWidth;
  readonly outputs: LayerWidth;
}

export interface ModuleRow {
  /** null: no module. */
  readonly form: ModuleForm | null;
  /** In a layer, or beside each of its attentions. */
  readonly matrices: readonly MatrixPair[];
  /** r where a sweep file names none. */
  readonly bottleneck: number;
  readonly paper: string | null;
  /**
   * What the scripts published with SparseAdapter call it: a mode, and for mode `adapter` an option
   * that says where it stands. More than one mode where theirs tell apart what is a setting here.
   */
  readonly flags: { readonly modes: readonly string[]; readonly option?: string };
  /** Whether it is only for blocks that normalize their sum, as those of T5 do not. */
  readonly needsNormalizedSum?: boolean;
}
