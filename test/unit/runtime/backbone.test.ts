import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveBackbone } from '../../../orchestrator/runtime/backbone';
import { writeTinyBackbone } from '../../support/tiny-backbone';

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

/** The files of a small model: RoBERTa, two layers, 10 words. */
function makeFiles(): Record<string, Buffer> {
  const tiny = join(folder, 'tiny');
  writeTinyBackbone(tiny, 'roberta', 10);
  const read = (name: string) => readFileSync(join(tiny, name));
  return {
    'config.json': read('config.json'),
    'model.safetensors': read('model.safetensors'),
    'tokenizer.json': Buffer.from('{"model": {"vocab": {"a": 0}}}'),
    'README.md': Buffer.from('# A model'),
  };
}

const WEIGHTS = 20_704;

function changeLastByte(content: Buffer): Buffer {
  const changed = Buffer.from(content);
  changed[changed.length - 1]! ^= 1;
  return changed;
}

function writeModel(files = makeFiles()): string {
  const path = join(folder, 'model');
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

describe('a backbone in a directory', () => {
  it('is described by its configuration and the headers of its weights', async () => {
    const path = writeModel();
    expect(await resolveBackbone(path, { onProgress })).toEqual({
      ...{ name: path, path, model_type: 'roberta', hidden_size: 32, intermediate_size: 64 },
      ...{ num_layers: 2, vocab_size: 10, max_position_embeddings: 66, type_vocab_size: 2 },
      weights: WEIGHTS,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  it('has a new digest with a new configuration, weights or tokenizer, not a readme', async () => {
    const path = writeModel();
    const digest = async (): Promise<string> =>
      (await resolveBackbone(path, { onProgress })).digest;
    for (const name of ['special_tokens_map.json', 'added_tokens.json'])
      writeFileSync(join(path, name), '{}');
    const first = await digest();
    writeFileSync(join(path, 'README.md'), 'changed');
    expect(await digest()).toBe(first);
    for (const [name, changed] of [
      ['config.json', Buffer.concat([readFileSync(join(path, 'config.json')), Buffer.from(' ')])],
      ['model.safetensors', changeLastByte(readFileSync(join(path, 'model.safetensors')))],
      ['tokenizer.json', Buffer.from('{"model": {"vocab": {"b": 0}}}')],
      ['special_tokens_map.json', Buffer.from('{"cls_token": "a"}')],
      ['added_tokens.json', Buffer.from('{"b": 1}')],
    ] as const) {
      const content = readFileSync(join(path, name));
      writeFileSync(join(path, name), changed);
      expect([name, await digest()]).not.toEqual([name, first]);
      writeFileSync(join(path, name), content);
      expect([name, await digest()]).toEqual([name, first]);
    }
  });

  it.each([
    ['config.json', /has no config\.json/],
    ['model.safetensors', /has no model\.safetensors/],
    ['tokenizer.json', /has no tokenizer/],
  ])('without %s is refused by name', async (missing, message) => {
    const path = writeModel(
      Object.fromEntries(Object.entries(makeFiles()).filter(([name]) => name !== missing)),
    );
    await expect(resolveBackbone(path, { onProgress })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });

  it('that does not exist is no hub id', async () => {
    await expect(resolveBackbone('./missing', { onProgress })).rejects.toMatchObject({
      exitCode: 2,
      message: 'backbone: ./missing is not a directory',
    });
  });
});

describe('a backbone on the hub', () => {
  let hub: Server;
  let requests: string[];
  let files: Record<string, Buffer>;
  beforeEach(async () => {
    requests = [];
    files = makeFiles();
    hub = createServer((request, response) => {
      const url = decodeURIComponent(request.url ?? '').split('?')[0] ?? '';
      requests.push(url);
      const json = (value: unknown): void =>
        void response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
      if (url === '/api/models/org/tiny/revision/HEAD')
        return json({ _id: '1', id: 'org/tiny', sha: 'a'.repeat(40), lastModified: '2024-01-01' });
      if (url === `/api/models/org/tiny/tree/${'a'.repeat(40)}`) {
        return json(
          Object.entries(files).map(([path, content]) => ({
            type: 'file',
            path,
            size: content.length,
            oid: '0',
          })),
        );
      }
      const content = files[url.replace(`/org/tiny/resolve/${'a'.repeat(40)}/`, '')];
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
      weights: WEIGHTS,
      path: join(folder, 'cache', 'hub', 'org--tiny'),
    });
    expect(readFileSync(join(first.path, 'model.safetensors'))).toEqual(files['model.safetensors']);
    expect(requests.some((url) => url.endsWith('README.md'))).toBe(false);
    requests.length = 0;
    expect(await resolveBackbone('org/tiny', { onProgress })).toEqual(first);
    expect(requests).toEqual([]);
  });

  it('missing on the hub, or with the hub out of reach, is an error with ways out', async () => {
    const waysOut = {
      exitCode: 3,
      hint: expect.stringMatching(/Use a directory.*HF_ENDPOINT.*HF_TOKEN/s) as string,
    };
    await expect(resolveBackbone('org/none', { onProgress })).rejects.toMatchObject({
      ...waysOut,
      message: expect.stringContaining('backbone org/none') as string,
    });
    hub.closeAllConnections();
    hub.close();
    await expect(resolveBackbone('org/tiny', { onProgress })).rejects.toMatchObject({
      ...waysOut,
      message: expect.stringContaining(
        'backbone org/tiny could not be downloaded from the hub',
      ) as string,
    });
  });
});
