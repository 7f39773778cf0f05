/**
 * The promise of the project: whatever is killed while a sweep trains, it ends with the numbers that it would have had. Real processes, real
 * kills, the commands that a user types.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactOnDisk } from '../support/jobs';
import { testIf } from '../support/reference';
import { Workplace } from '../support/workplace';

const { SA_ORCH_DATA: data, SA_ORCH_TEST_PYTHON: python } = process.env;
const vocabulary = data && join(data, 'vocab', 'roberta-base');
/** No pretrained encoder–decoder comes with the tests: its weights are random, its vocabulary is BART's. */
const withBart = testIf('a trial of summaries whose processes are killed', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: vocabulary && existsSync(vocabulary) ? vocabulary : undefined,
});
const SWEEP = `
name: durable
tasks: [cola, sst2]
rows: 128
validation_rows: 64
seeds: [1, 2]
adapter: {bottleneck: 16}
compare:
  - {pruner: none}
  - {pruner: snip, sparsity: 0.8}
train: {steps: 150, batch_size: 16, learning_rate: 1.0e-3, dropout: 0.1}
`;
/** Enough windows of contexts that predicting them can be hit in the middle. */
const QUESTIONS = `
name: durable-questions
tasks: [squad]
rows: 64
validation_rows: 400
max_length: 128
doc_stride: 32
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 60, batch_size: 8, learning_rate: 1.0e-3, dropout: 0.1}
`;
/** Beam search over fifty thousand words takes its time as well. */
const SUMMARIES = `
name: durable-summaries
tasks: [xsum]
rows: 64
validation_rows: 96
max_length: 128
max_target_length: 32
generation: {beams: 2, max_length: 30}
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 60, batch_size: 4, learning_rate: 1.0e-3, dropout: 0.1}
`;

jest.setTimeout(900_000);

describe('a sweep whose processes are killed', () => {
  let folder: string;
  const places: Workplace[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-durability-'));
    writeFileSync(join(folder, 'durable.yaml'), SWEEP);
  });
  afterAll(async () => {
    for (const place of places) await place.down();
    rmSync(folder, { recursive: true, force: true });
  });

  function workplace(name: string): Workplace {
    const place = new Workplace(join(folder, name));
    places.push(place);
    return place;
  }

  const startArguments = (file = 'durable.yaml') => ['start', '--sweep', join(folder, file), ...(data ? ['--data-dir', data] : [])];

  test('ends with the results of an undisturbed one, to the last digit, after trainer, worker, server, supervisor and command were killed', async () => {
    const calm = workplace('calm');
    const undisturbed = await calm.run(startArguments());
    expect(undisturbed.status).toBe(0);
    await calm.down();

    const hit = workplace('hit');
    const command = hit.spawn(startArguments());
    for (const service of ['trainer', 'worker', 'temporal'] as const) {
      await hit.moves('train');
      await hit.killService(service);
    }
    await hit.moves('train');
    await hit.killService('supervisor');
    await command.kill();
    // The trainer goes on without anybody; now nothing is typed but `watch`.
    const [sweepId] = readdirSync(join(hit.root, 'sweeps'));
    const watched = await hit.run(['watch', sweepId!]);
    expect(watched.status).toBe(0);

    expect(comparable(hit)).toEqual(comparable(calm));
    expect(comparable(hit)).toHaveLength(8);
    const again = await hit.run([...startArguments(), '--json']);
    expect(again.status).toBe(0);
    expect(again.seconds).toBeLessThan(30);
  });

  test('ends with the bytes of an undisturbed one where everything is killed while a trial of questions trains, and again while it predicts', async () => {
    writeFileSync(join(folder, 'questions.yaml'), QUESTIONS);
    await expectSameBytes('questions', startArguments('questions.yaml'), 'answers.validation.json');
  });

  withBart('does so with a trial of summaries, too', async () => {
    const model = join(folder, 'bart');
    execFileSync(python!, [join(__dirname, '../support/make_bart.py'), vocabulary!, model], { stdio: 'pipe' });
    writeFileSync(join(folder, 'summaries.yaml'), SUMMARIES);
    await expectSameBytes('summaries', [...startArguments('summaries.yaml'), '--backbone', model], 'summaries.validation.jsonl');
  });

  /** Runs a sweep of one trial undisturbed, and with every process killed while it trains and while it predicts. texts: what the trial leaves to read. */
  async function expectSameBytes(name: string, typed: string[], texts: string): Promise<void> {
    const calm = workplace(`calm-${name}`);
    expect((await calm.run(typed)).status).toBe(0);
    await calm.down();

    const hit = workplace(`hit-${name}`);
    let command = hit.spawn(typed);
    for (const work of ['train', 'predict'] as const) {
      await hit.moves(work);
      await hit.killService('trainer');
      await hit.moves(work);
      for (const service of ['supervisor', 'worker', 'temporal'] as const) await hit.killService(service);
      await command.kill();
      command = hit.spawn(['watch', readdirSync(join(hit.root, 'sweeps'))[0]!]);
    }
    expect((await command.ended).status).toBe(0);

    expect(comparable(hit)).toEqual(comparable(calm));
    expect(comparable(hit)).toHaveLength(1);
    expect(filesOfTrials(hit, texts)).toEqual(filesOfTrials(calm, texts));
  }
});

/** Digests of what a trial leaves: adapter, masks, predictions and texts. */
function filesOfTrials({ root }: Workplace, texts: string) {
  const names = ['adapter', 'masks.safetensors', 'predictions.validation.safetensors', texts];
  return readdirSync(join(root, 'trials')).flatMap((trial) => names.map((name) => artifactOnDisk(root, `trials/${trial}/${name}`)));
}

/** results.jsonl, line by line, without timings. */
function comparable(place: Workplace): unknown[] {
  const [sweepId] = readdirSync(join(place.root, 'sweeps'));
  const lines = readFileSync(join(place.root, 'sweeps', sweepId!, 'results.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const { train, ...result } = JSON.parse(line) as { train: { steps: number } };
    return { ...result, steps: train.steps };
  });
}
