/**
 * The encoder's forward pass over packed rows. The last layer computes only each row's first token,
 * unless more is needed.
 */
import { attend } from './attention';
import type { Backbone, Layer } from './backbone';
import type { TrialModules } from './modules';
import { add, frozenLinear, layerNorm, nonLinear, replaced, takeRows } from './operations';
import type { PackedRows } from './packed-rows';
import { release, Value, type Tape } from './tape';
import { tf, type Tensor } from './tensorflow';

/** The last hidden state of every row's first token [rows, d], or of every token [tokens, d]. */
export function encode(
  tape: Tape,
  backbone: Backbone,
  pack: PackedRows,
  modules: TrialModules,
  everyToken: boolean,
): Value {
  let x = modules.dropped(
    layerNorm(tape, new Value(embed(backbone, pack), false), backbone.embeddingNorm),
    'embeddings',
  );
  backbone.layers.forEach((layer, index) => {
    const firstOnly = !everyToken && index === backbone.layers.length - 1;
    const run = (): Value => encodeLayer(tape, backbone, layer, index, pack, modules, x, firstOnly);
    // Without a backward pass, only the result is read again.
    x = tape.recording
      ? run()
      : new Value(
          tf.tidy(() => run().tensor),
          false,
        );
  });
  return x;
}

function encodeLayer(
  tape: Tape,
  backbone: Backbone,
  layer: Layer,
  index: number,
  pack: PackedRows,
  modules: TrialModules,
  input: Value,
  firstOnly: boolean,
): Value {
  const scale = 1 / Math.sqrt(backbone.hidden / backbone.heads);
  const x = firstOnly ? takeRows(tape, input, pack.first) : input;
  const query = modules.beside('query', index, frozenLinear(tape, x, layer.query), x, scale);
  const key = frozenLinear(tape, input, layer.key);
  const value = modules.beside('value', index, frozenLinear(tape, input, layer.value), input);
  const context = attend(
    tape,
    [query, key, value],
    pack,
    backbone.heads,
    firstOnly,
    modules.attentionDropout(index),
  );
  release(query, key, value);
  const projected = replaced(context, frozenLinear(tape, context, layer.attentionOutput));
  const attention = modules.attentionOutput(index, projected, x);
  const sum = add(tape, attention, x);
  const attended = modules.norm(
    'attention_norm',
    index,
    replaced(sum, layerNorm(tape, sum, layer.attentionNorm)),
  );
  const inner = modules.beside(
    'ffn_in',
    index,
    frozenLinear(tape, attended, layer.ffnIn),
    attended,
  );
  const activated = replaced(inner, nonLinear(tape, inner, backbone.activation));
  const output = modules.ffnOutput(
    index,
    frozenLinear(tape, activated, layer.ffnOut),
    attended,
    activated,
  );
  if (!modules.readsActivated) release(activated);
  const total = add(tape, output, attended);
  const normed = modules.norm('ffn_norm', index, layerNorm(tape, total, layer.ffnNorm));
  if (!modules.isAfterNorm) return replaced(total, normed);
  const again = add(tape, modules.afterNorm(index, normed), total);
  return replaced(again, layerNorm(tape, again, layer.ffnNorm));
}

/** The sum of every token's embeddings [tokens, d]. */
function embed({ word, tokenType, position, positionOffset }: Backbone, pack: PackedRows): Tensor {
  return tf.tidy(() => {
    const rows = (table: Tensor, ids: Tensor): Tensor => tf.gather(table, ids);
    const positions =
      positionOffset === 0
        ? pack.positions
        : tf.add(pack.positions, tf.scalar(positionOffset, 'int32'));
    return tf.add(
      tf.add(rows(word, pack.inputIds), rows(tokenType, pack.tokenTypeIds)),
      rows(position, positions),
    );
  });
}
