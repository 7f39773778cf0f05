/** What a finished trial gives to others: predictions of new rows, adapters in other formats. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeSafetensors, float32Tensor } from '../../common/safetensors';
import { writeFilmReviews } from '../support/film-reviews';
import { until } from '../support/until';
import { Workplace, type Ended } from '../support/workplace';

let folder: string;
let place: Workplace;
let trial: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-leaving-'));
  place = new Workplace(folder, { HF_HUB_OFFLINE: '1' });
  writeFilmReviews(folder, { adapter: '{ kind: lora, bottleneck: 4 }' });
  const { stdout, stderr, status } = await place.run(['start', '--sweep', './s.yaml', '--json']);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  trial = (JSON.parse(stdout) as { results: { trial_id: string }[] }).results[0]!.trial_id;
  await place.down();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const refusal = ({ status, stderr }: Ended) => [status, stderr.split('\n')[0]];

test('predictions of the validation rows are the trial’s own, bit for bit', async () => {
  const [, ...rows] = readFileSync(join(folder, 't.csv'), 'utf8').trim().split('\n');
  const texts = rows.map((row) => JSON.stringify({ text: row.split(',')[0] }));
  writeFileSync(join(folder, 'rows.jsonl'), `${texts.join('\n')}\n`);
  const typed = ['predict', '--trial', trial.slice(0, 6), '--input', 'rows.jsonl'];
  const { status, stdout, stderr } = await place.run(typed);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  const lines = stdout.trim().split('\n');
  const own = join(place.root, 'trials', trial, 'predictions.validation.safetensors');
  const { data } = float32Tensor(decodeSafetensors(readFileSync(own)), 'logits');
  const expected = rows.map((_, i) => {
    const [neg, pos] = [data[2 * i]!, data[2 * i + 1]!];
    const [a, b] = [Math.exp(neg - Math.max(neg, pos)), Math.exp(pos - Math.max(neg, pos))];
    const scores = { neg: a / (a + b), pos: b / (a + b) };
    return JSON.stringify({ label: neg >= pos ? 'neg' : 'pos', scores });
  });
  expect(lines).toEqual(expected);
});

test.each([
  ['SIGINT', 'while its trainer starts', 'log'],
  ['SIGTERM', 'once its trainer has begun', 'trainer.sock'],
] as const)('a predict that %s ends %s leaves nothing', async (signal, _, last) => {
  const temporary = mkdtempSync(join(tmpdir(), 'sa-orch-t-'));
  const interrupted = new Workplace(folder, { HF_HUB_OFFLINE: '1', TMPDIR: temporary });
  const list = () => readdirSync(place.root, { recursive: true }).sort();
  const before = list();
  writeFileSync(join(folder, 'one.jsonl'), `${JSON.stringify({ text: 'a fine film' })}\n`);
  const typed = ['predict', '--trial', trial, '--input', 'one.jsonl'];
  const { child, ended } = interrupted.spawn(typed);
  await until(() => {
    const found = readdirSync(temporary, { recursive: true }) as string[];
    return Promise.resolve(found.some((name) => name.endsWith(last)));
  });
  expect(list()).not.toEqual(before);
  child.kill(signal);
  expect((await ended).stdout).toBe('');
  expect(child.signalCode).toBe(signal);
  expect(list()).toEqual(before);
  // PyTorch keeps a folder of its own there.
  expect(readdirSync(temporary).filter((name) => name.startsWith('sa-orch-'))).toEqual([]);
  rmSync(temporary, { recursive: true });
});

test('an export has a model card with task, data, seeds, metrics and mask', async () => {
  const { status, stdout } = await place.run([
    'export',
    trial.slice(0, 6),
    '--format',
    'peft',
    '--out',
    'peft',
  ]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/✓ PEFT .*peft\n/);
  for (const name of ['adapter_model.safetensors', 'adapter_config.json', 'masks.safetensors'])
    expect(existsSync(join(folder, 'peft', name))).toBe(true);
  const card = readFileSync(join(folder, 'peft', 'README.md'), 'utf8');
  expect(card).toMatch(/^---\nbase_model: "sentence-transformers\/all-MiniLM-L6-v2"\n/);
  expect(card).toMatch(/\nlibrary_name: peft\n/);
  expect(card).toMatch(/\| data \| train 32 rows, validation 32 rows; digest `[0-9a-f]+` \|/);
  expect(card).toMatch(/\| mask \| dense: /);
  expect(card).toMatch(/n = 32 rows\) \| mean ± std over n = 1 seeds \(1\)/);
});

test('of a trial whose adapter was removed, it is said', async () => {
  const adapter = join(place.root, 'trials', trial, 'adapter', 'adapter_model.safetensors');
  renameSync(adapter, `${adapter}.aside`);
  try {
    for (const typed of [
      ['predict', '--trial', trial, '--input', 'rows.jsonl'],
      ['export', trial, '--format', 'safetensors', '--out', 'new'],
    ])
      expect(await place.run(typed)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(
          `error: trial ${trial} is finished, but ${adapter} is missing`,
        ) as string,
      });
  } finally {
    renameSync(`${adapter}.aside`, adapter);
  }
});

test('what cannot be done is refused in one sentence', async () => {
  const to = (...args: string[]) => place.run(['export', ...args, '--out', 'new']);
  expect(refusal(await to('t0000', '--format', 'peft'))).toEqual([
    2,
    expect.stringMatching(/^error: no trial in .* has the id t0000/),
  ]);
  expect(refusal(await place.run(['export', trial, '--format', 'peft', '--out', '.']))).toEqual([
    2,
    expect.stringMatching(/^error: --out .* exists and is not empty$/),
  ]);
  mkdirSync(join(place.root, 'trials', 'tunfinished'));
  expect(refusal(await to('tunfin', '--format', 'peft'))).toEqual([
    2,
    'error: trial tunfinished is not finished',
  ]);
  expect(refusal(await to(trial, '--format', 'glue', '--data-dir', folder))).toEqual([
    2,
    expect.stringMatching(/^error: task t has no official test rows; GLUE's tasks have: cola/),
  ]);
  expect(existsSync(join(folder, 'new'))).toBe(false);
});
