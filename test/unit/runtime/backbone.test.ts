import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveBackbone } from '../../../orchestrator/runtime/backbone';

const TABLES = { vocab_size: 10, max_position_embeddings: 18, type_vocab_size: 1 };
const CONFIG = {
  model_type: 'roberta',
  hidden_size: 8,
  intermediate_size: 32,
  num_hidden_layers: 2,
  ...TABLES,
};
const onProgress = (): void => undefined;

let folder: string;
let before: NodeJS.ProcessEnv;
beforeEach(() => {
  before = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-backbone-'));
  process.env.SA_ORCH_CACHE = join(folder, 'cache');
});
afterEach(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

/** A safetensors file: 8 bytes of header length, the header, the data. */
function safetensors(shapes: Record<string, number[]>): Buffer {
  const header = Buffer.from(
    JSON.stringify({
      __metadata__: { format: 'pt' },
      ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape }])),
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

const FILES: Record<string, Buffer> = {
  'config.json': Buffer.from(JSON.stringify(CONFIG)),
  'model.safetensors': safetensors({
    'embeddings.weight': [10, 8],
    'layer.weight': [8, 8],
    scale: [],
  }),
  'tokenizer.json': Buffer.from('{}'),
  'README.md': Buffer.from('# A model'),
};

function writeModel(files = FILES): string {
  const path = join(folder, 'model');
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

describe('a backbone in a directory', () => {
  const BART = {
    ...{ model_type: 'bart', d_model: 8, vocab_size: 10, max_position_embeddings: 18 },
    ...{ encoder_layers: 2, encoder_ffn_dim: 12, decoder_layers: 3, decoder_ffn_dim: 14 },
  };
  const T5 = {
    model_type: 't5',
    d_model: 8,
    d_kv: 4,
    num_heads: 3,
    d_ff: 12,
    num_layers: 2,
    vocab_size: 10,
  };
  const SIZES = {
    hidden_size: 8,
    intermediate_size: 12,
    num_layers: 2,
    vocab_size: 10,
    type_vocab_size: 0,
  };

  it.each([
    [
      'BART',
      BART,
      { ...SIZES, decoder: { intermediate_size: 14, num_layers: 3 }, max_position_embeddings: 18 },
    ],
    [
      'T5',
      T5,
      {
        ...SIZES,
        attention_size: 12,
        decoder: { intermediate_size: 12, num_layers: 2 },
        max_position_embeddings: 0,
      },
    ],
    [
      'T5 with a deeper decoder and attention as wide as the model',
      { ...T5, d_kv: 2, num_heads: 4, num_decoder_layers: 3 },
      { ...SIZES, decoder: { intermediate_size: 12, num_layers: 3 }, max_position_embeddings: 0 },
    ],
  ])('may be an encoder–decoder: %s', async (_what, config, sizes) => {
    const path = writeModel({ ...FILES, 'config.json': Buffer.from(JSON.stringify(config)) });
    const { name, digest, weights, ...found } = await resolveBackbone(path, { onProgress });
    void [name, digest, weights];
    expect(found).toEqual({ path, model_type: config.model_type, ...sizes });
  });

  it('that lacks a size of its family is refused with its name', async () => {
    const path = writeModel({
      ...FILES,
      'config.json': Buffer.from(JSON.stringify({ ...BART, decoder_layers: undefined })),
    });
    await expect(resolveBackbone(path, { onProgress })).rejects.toThrow(
      /config\.json: decoder_layers: /,
    );
  });

  it('is described by its configuration and the headers of its weights', async () => {
    const path = writeModel();
    expect(await resolveBackbone(path, { onProgress })).toEqual({
      ...{
        name: path,
        path,
        model_type: 'roberta',
        hidden_size: 8,
        intermediate_size: 32,
        num_layers: 2,
        ...TABLES,
      },
      weights: 80 + 64 + 1,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  it('has a new digest with a new configuration, weights or tokenizer, not a readme', async () => {
    const path = writeModel();
    const digest = async (): Promise<string> =>
      (await resolveBackbone(path, { onProgress })).digest;
    const first = await digest();
    writeFileSync(join(path, 'README.md'), 'changed');
    expect(await digest()).toBe(first);
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json']) {
      const content = FILES[name] ?? Buffer.alloc(0);
      writeFileSync(join(path, name), Buffer.concat([content, Buffer.from(' ')]));
      expect([name, await digest()]).not.toEqual([name, first]);
      writeFileSync(join(path, name), content);
      expect([name, await digest()]).toEqual([name, first]);
    }
  });

  it('is not read again while sizes and times stand', async () => {
    const path = writeModel();
    const file = join(path, 'tokenizer.json');
    const time = new Date('2024-01-01');
    utimesSync(file, time, time);
    const { digest } = await resolveBackbone(path, { onProgress });
    writeFileSync(file, '[]');
    utimesSync(file, time, time);
    expect((await resolveBackbone(path, { onProgress })).digest).toBe(digest);
  });

  it.each([
    ['config.json', /has no config\.json/],
    ['model.safetensors', /has no model\.safetensors/],
    ['tokenizer.json', /has no tokenizer/],
  ])('without %s is refused by name', async (missing, message) => {
    const path = writeModel(
      Object.fromEntries(Object.entries(FILES).filter(([name]) => name !== missing)),
    );
    await expect(resolveBackbone(path, { onProgress })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });

  it('whose configuration lacks a field is refused with the field', async () => {
    const path = writeModel({
      ...FILES,
      'config.json': Buffer.from('{"model_type": "bert", "hidden_size": 0}'),
    });
    await expect(resolveBackbone(path, { onProgress })).rejects.toThrow(
      /hidden_size: .*intermediate_size: .*num_hidden_layers: .*vocab_size: .*type_vocab_size: /,
    );
  });

  it('that does not exist is no hub id', async () => {
    await expect(resolveBackbone('./missing', { onProgress })).rejects.toMatchObject({
      exitCode: 2,
      message: 'backbone: ./missing is no directory',
    });
  });
});

describe('a backbone on the hub', () => {
  let hub: Server;
  let requests: string[];
  beforeEach(async () => {
    requests = [];
    hub = createServer((request, response) => {
      const url = decodeURIComponent(request.url ?? '').split('?')[0] ?? '';
      requests.push(url);
      const json = (value: unknown): void =>
        void response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
      if (url === '/api/models/org/tiny/revision/HEAD')
        return json({ _id: '1', id: 'org/tiny', sha: 'a'.repeat(40), lastModified: '2024-01-01' });
      if (url === `/api/models/org/tiny/tree/${'a'.repeat(40)}`) {
        return json(
          Object.entries(FILES).map(([path, content]) => ({
            type: 'file',
            path,
            size: content.length,
            oid: '0',
          })),
        );
      }
      const content = FILES[url.replace(`/org/tiny/resolve/${'a'.repeat(40)}/`, '')];
      if (content === undefined) return response.writeHead(404).end();
      response.setHeader('etag', '"0"');
      if (request.headers.range === 'bytes=0-0')
        return response
          .writeHead(206, { 'content-range': `bytes 0-0/${content.length}` })
          .end(content.subarray(0, 1));
      return response.end(content);
    }).listen(0, '127.0.0.1');
    await once(hub, 'listening');
    process.env.HF_ENDPOINT = `http://127.0.0.1:${(hub.address() as { port: number }).port}`;
  });
  afterEach(() => {
    hub.closeAllConnections();
    hub.close();
  });

  it('is downloaded once, only the needed files, and later found without the hub', async () => {
    const first = await resolveBackbone('org/tiny', { onProgress });
    expect(first).toMatchObject({
      name: 'org/tiny',
      model_type: 'roberta',
      weights: 145,
      path: join(folder, 'cache', 'hub', 'org--tiny'),
    });
    expect(readFileSync(join(first.path, 'model.safetensors'))).toEqual(FILES['model.safetensors']);
    expect(requests.some((url) => url.endsWith('README.md'))).toBe(false);
    requests.length = 0;
    expect(await resolveBackbone('org/tiny', { onProgress })).toEqual(first);
    expect(requests).toEqual([]);
  });

  it('missing on the hub, or with the hub out of reach, is an error with ways out', async () => {
    const waysOut = {
      exitCode: 3,
      hint: expect.stringMatching(/Give a directory.*HF_ENDPOINT.*HF_TOKEN/s) as string,
    };
    await expect(resolveBackbone('org/none', { onProgress })).rejects.toMatchObject({
      ...waysOut,
      message: expect.stringContaining('backbone org/none') as string,
    });
    hub.closeAllConnections();
    hub.close();
    await expect(resolveBackbone('org/tiny', { onProgress })).rejects.toMatchObject({
      ...waysOut,
      message: expect.stringContaining('backbone org/tiny could not be had from the hub') as string,
    });
  });
});
