/**
 * The encoder's forward pass over packed rows. The last layer computes only each row's first token,
 * unless more is needed.
 */
import { attend, type KeyValue } from './attention';
import type { Backbone, Layer } from './backbone';
import type { TrialModules } from './modules';
import { add, layerNorm, nonLinear, project, replaced, takeRows } from './operations';
import type { PackedRows } from './packed-rows';
import { release, Value, type Tape } from './tape';
import { tf } from './tensorflow';

/** The last hidden state of every row's first token [rows, d], or of every token [tokens, d]. */
export function encode(
  tape: Tape,
  backbone: Backbone,
  pack: PackedRows,
  modules: TrialModules,
  everyToken: boolean,
): Value {
  let x = modules.dropped(
    layerNorm(tape, embed(tape, backbone, pack, modules), backbone.embeddingNorm),
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
  const query = modules.beside('query', index, project(tape, x, layer.query), x, scale);
  const key = project(tape, input, layer.key);
  const value = modules.beside('value', index, project(tape, input, layer.value), input);
  const own: KeyValue = [key, value];
  const before = modules.before(index, own);
  const attention = attend(
    tape,
    { query, own, prefix: modules.prefix(index), before },
    pack,
    backbone.heads,
    firstOnly,
    modules.attentionDropout(index),
  );
  const context = modules.context(index, attention, query, x, backbone.heads, (y) =>
    project(tape, y, layer.query),
  );
  // A module that reads keys and values reads them again for its gradient.
  if (before) release(query, ...before);
  else release(query, key, value);
  const projected = project(tape, context, layer.attentionOutput);
  // A trained weight's gradient reads what goes into it.
  if (!layer.attentionOutput.weight) release(context);
  const output = modules.attentionOutput(index, projected, x);
  const sum = add(tape, output, x);
  const attended = modules.norm(
    'attention_norm',
    index,
    replaced(sum, layerNorm(tape, sum, layer.attentionNorm)),
  );
  const inner = modules.beside('ffn_in', index, project(tape, attended, layer.ffnIn), attended);
  const activated = replaced(inner, nonLinear(tape, inner, backbone.activation));
  const transformed = modules.ffnOutput(
    index,
    project(tape, activated, layer.ffnOut),
    attended,
    activated,
  );
  if (!modules.readsActivated && !layer.ffnOut.weight) release(activated);
  const total = add(tape, transformed, attended);
  const normed = modules.norm('ffn_norm', index, layerNorm(tape, total, layer.ffnNorm));
  if (!modules.isAfterNorm) return replaced(total, normed);
  const again = add(tape, modules.afterNorm(index, normed), total);
  return replaced(again, layerNorm(tape, again, layer.ffnNorm));
}

/** The sum of every token's embeddings [tokens, d]. */
function embed(
  tape: Tape,
  { word, tokenType, position, positionOffset }: Backbone,
  pack: PackedRows,
  modules: TrialModules,
): Value {
  const positions =
    positionOffset === 0
      ? pack.positions
      : tf.add(pack.positions, tf.scalar(positionOffset, 'int32'));
  const ofTokens = modules.plus(
    takeRows(tape, word, pack.inputIds),
    takeRows(tape, tokenType, pack.tokenTypeIds),
  );
  return modules.plus(ofTokens, takeRows(tape, position, positions));
}
