/** Faults of weights and tokenizers that are found before anything runs, with file and tensor. */
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../../common/safetensors';
import { resolveBackbone } from '../../../orchestrator/runtime/backbone';
import { writeTinyBackbone } from '../../support/tiny-backbone';

const WORDS = 'embeddings.word_embeddings.weight';
const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n';
const INDEX = 'model.safetensors.index.json';
const [FIRST, SECOND] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

let folder: string;
let weights: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-weights-'));
  weights = join(folder, 'model.safetensors');
  process.env.SA_ORCH_CACHE = join(folder, 'cache');
  writeTinyBackbone(folder, 'bert', 10);
  write('vocab.txt', 'a\nb\n');
});
afterEach(() => {
  delete process.env.SA_ORCH_CACHE;
  rmSync(folder, { recursive: true });
});

const write = (name: string, content: string | Uint8Array): void =>
  writeFileSync(join(folder, name), content);

const describeIt = () => resolveBackbone(folder, { onProgress: () => undefined });

const read = (): Record<string, Tensor> =>
  Object.fromEntries(decodeSafetensors(readFileSync(weights)));

/** Writes the weights in two files with an index. */
function shard(): void {
  const tensors = read();
  const first = { [WORDS]: tensors[WORDS]! };
  delete tensors[WORDS];
  write(FIRST, encodeSafetensors(first));
  write(SECOND, encodeSafetensors(tensors));
  const others = Object.keys(tensors).map((name) => [name, SECOND] as const);
  write(INDEX, JSON.stringify({ weight_map: { ...Object.fromEntries(others), [WORDS]: FIRST } }));
  rmSync(weights);
}

/** Writes the weights with other ones. */
function change(others: Record<string, Tensor | undefined>): void {
  const all = Object.entries({ ...read(), ...others });
  const there = all.filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
  write('model.safetensors', encodeSafetensors(Object.fromEntries(there)));
}

describe('the weights of a backbone', () => {
  test('can be in shards, have the prefix of models with a head, or TensorFlow names', async () => {
    const whole = await describeIt();
    const renamed = Object.entries(read()).map(([name, tensor]): [string, Tensor] => [
      `bert.${name.replace('Norm.weight', 'Norm.gamma').replace('Norm.bias', 'Norm.beta')}`,
      tensor,
    ]);
    write('model.safetensors', encodeSafetensors(Object.fromEntries(renamed)));
    expect((await describeIt()).weights).toBe(whole.weights);
    writeTinyBackbone(folder, 'bert', 10);
    shard();
    expect((await describeIt()).weights).toBe(whole.weights);
  });

  const zeros = (...shape: number[]): Tensor => ({
    shape,
    data: new Float32Array(shape.reduce((product, size) => product * size)),
  });
  test.each<[string, () => void, string]>([
    [
      'a table of words of another size',
      () => change({ [WORDS]: zeros(9, 32) }),
      `model.safetensors: tensor ${WORDS} has shape [9, 32], but config.json means [10, 32]`,
    ],
    [
      'another width',
      () => change({ 'encoder.layer.1.output.dense.weight': zeros(32, 65) }),
      'encoder.layer.1.output.dense.weight has shape [32, 65], but config.json means [32, 64]',
    ],
    [
      'no layer 1',
      () => change({ 'encoder.layer.1.attention.self.key.bias': undefined }),
      'model.safetensors: has no tensor encoder.layer.1.attention.self.key.bias',
    ],
    [
      'quantized values',
      () => change({ [WORDS]: { shape: [10, 32], data: new Uint8Array(320) } }),
      `tensor ${WORDS} is U8; must be F32, F16, BF16 or F64`,
    ],
    ['an empty file', () => write('model.safetensors', ''), 'model.safetensors is empty'],
    [
      'no tensor',
      () => write('model.safetensors', encodeSafetensors({})),
      'has weights without a single tensor',
    ],
    [
      'a pointer of Git LFS',
      () => write('model.safetensors', LFS),
      'model.safetensors is a Git LFS pointer, not the file itself; run "git lfs pull" first',
    ],
    [
      'something else',
      () => write('model.safetensors', '<html>not found</html>'),
      'not a safetensors',
    ],
    [
      'its end cut off',
      () => truncateSync(weights, readFileSync(weights).length - 10),
      'model.safetensors is incomplete: tensor ',
    ],
    [
      'a longer end',
      () => write('model.safetensors', Buffer.concat([readFileSync(weights), Buffer.alloc(3)])),
      '3 bytes at its end',
    ],
    [
      'a missing shard',
      () => {
        shard();
        rmSync(join(folder, SECOND));
      },
      `${SECOND} is missing, but ${INDEX} names it`,
    ],
    [
      'a shard in the place of another',
      () => {
        shard();
        copyFileSync(join(folder, SECOND), join(folder, FIRST));
      },
      `${FIRST} has no tensor ${WORDS}, but ${INDEX} says that it has`,
    ],
    [
      'shards without an index',
      () => {
        shard();
        rmSync(join(folder, INDEX));
      },
      'has no model.safetensors',
    ],
    [
      'a broken index',
      () => {
        shard();
        write(INDEX, '{"weight_map": ');
      },
      `${INDEX} is not an index: it must be JSON with a weight_map`,
    ],
    [
      'a shard outside the folder',
      () => {
        shard();
        write(INDEX, `{"weight_map": {"${WORDS}": "../model.safetensors"}}`);
      },
      `${INDEX} names "../model.safetensors"; the files of weights must be called like`,
    ],
    [
      'pytorch_model.bin alone',
      () => {
        rmSync(weights);
        write('pytorch_model.bin', 'x');
      },
      'has no model.safetensors',
    ],
    [
      'more tokens than rows',
      () => write('vocab.txt', [...'abcdefghijk', '[MASK]'].join('\n')),
      'vocab.txt: token "k" is number 10, but the backbone has only 10 rows of words',
    ],
    [
      'an added token without a row',
      () =>
        write(
          'tokenizer.json',
          '{"model":{"vocab":[["a",0.1]]},"added_tokens":[{"id":10,"content":"x"}]}',
        ),
      'tokenizer.json: token "x" is number 10',
    ],
    [
      'a tokenizer that is none',
      () => write('tokenizer.json', '{}'),
      'tokenizer.json is not a tokenizer',
    ],
    [
      'a tokenizer not fetched',
      () => write('tokenizer.json', LFS),
      'tokenizer.json is a Git LFS pointer',
    ],
  ])('with %s are refused by name', async (_what, make, message) => {
    make();
    await expect(describeIt()).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining(message) as string,
    });
  });

  test('of an unsupported type are not looked at', async () => {
    write('config.json', '{"model_type": "gpt2", "n_embd": 8}');
    rmSync(weights);
    rmSync(join(folder, 'vocab.txt'));
    await expect(describeIt()).rejects.toThrow(
      'model_type is "gpt2"; must be one of bert, roberta',
    );
  });

  test('need no row for the mask, which no text contains', async () => {
    write('vocab.txt', [...'abcdefghij', '[MASK]'].join('\n'));
    expect(await describeIt()).toMatchObject({ vocab_size: 10 });
  });
});
