/**
 * The promise of the project: whatever is killed while a sweep trains, it ends with the numbers
 * that it would have had. Real processes, real kills, the commands that a user types.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactOnDisk } from '../support/jobs';
import { testIf } from '../support/reference';
import { Workplace } from '../support/workplace';

const { SA_ORCH_DATA: data, SA_ORCH_TEST_PYTHON: python, SA_ORCH_TEST_TFJS: tfjs } = process.env;
const vocabulary = data && join(data, 'vocab', 'roberta-base');
/**
 * No pretrained encoder–decoder comes with the tests: its weights are random, its vocabulary is
 * BART's.
 */
const withBart = testIf('a trial of summaries whose processes are killed', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: vocabulary && existsSync(vocabulary) ? vocabulary : undefined,
});
const withTfjs = testIf('a sweep through the TensorFlow.js trainer whose processes are killed', {
  SA_ORCH_TEST_TFJS: tfjs,
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
validation_rows: 600
max_length: 128
max_target_length: 32
generation: {beams: 4, max_length: 30}
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 200, batch_size: 4, learning_rate: 1.0e-3, dropout: 0.1}
`;

const TENSORFLOW = `
name: durable-tensorflow
tasks: [mrpc, rte]
rows: 128
validation_rows: 64
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 100, batch_size: 8, learning_rate: 1.0e-3, dropout: 0.1}
`;

jest.setTimeout(900_000);

describe('a sweep whose processes are killed', () => {
  let folder: string;
  const places: Workplace[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-durability-'));
    writeFileSync(join(folder, 'durable.yaml'), SWEEP);
  });
  afterEach(async () => {
    await Promise.all(places.splice(0).map((place) => place.down()));
    rmSync(folder, { recursive: true, force: true });
  });

  function workplace(name: string): Workplace {
    const place = new Workplace(join(folder, name));
    places.push(place);
    return place;
  }

  /**
   * One thread each: the undisturbed run goes on beside the one that is hit, and digits depend on
   * the number of threads.
   */
  const startArguments = (file = 'durable.yaml') => [
    ...['start', '--sweep', join(folder, file), '--threads', '1'],
    ...(data ? ['--data-dir', data] : []),
  ];

  test('ends with the digits of an undisturbed one after each process was killed', async () => {
    const hit = await beside(startArguments(), async (place) => {
      const command = place.spawn(startArguments());
      for (const service of ['trainer', 'worker', 'temporal'] as const) {
        await place.moves('train');
        await place.killService(service);
      }
      await place.moves('train');
      await place.killService('supervisor');
      await command.kill();
      // The trainer goes on without anybody; now nothing is typed but `watch`.
      expect((await place.run(['watch', place.sweepId()])).status).toBe(0);
    });
    expect(comparable(hit)).toHaveLength(8);
    const again = await hit.run([...startArguments(), '--json']);
    expect(again.status).toBe(0);
    expect(again.seconds).toBeLessThan(30);
  });

  test('of questions ends with the same bytes, killed in training and in prediction', async () => {
    writeFileSync(join(folder, 'questions.yaml'), QUESTIONS);
    await expectSameBytes(startArguments('questions.yaml'), 'answers.validation.json');
  });

  withBart('does so with a trial of summaries, too', async () => {
    const model = join(folder, 'bart');
    execFileSync(python!, [join(__dirname, '../support/make_bart.py'), vocabulary!, model], {
      stdio: 'pipe',
    });
    writeFileSync(join(folder, 'summaries.yaml'), SUMMARIES);
    await expectSameBytes(
      [...startArguments('summaries.yaml'), '--backbone', model],
      'summaries.validation.jsonl',
    );
  });

  withTfjs('does so with the TensorFlow.js trainer, whose engine is killed as well', async () => {
    writeFileSync(join(folder, 'tensorflow.yaml'), TENSORFLOW);
    const typed = [...startArguments('tensorflow.yaml'), '--framework', 'tfjs'];
    const hit = await beside(typed, async (place) => {
      const command = place.spawn(typed);
      await place.moves('train');
      await place.killEngine();
      await place.moves('train');
      for (const service of ['supervisor', 'trainer', 'worker', 'temporal'] as const)
        await place.killService(service);
      await command.kill();
      expect((await place.run(['watch', place.sweepId()])).status).toBe(0);
    });
    expect(comparable(hit)).toHaveLength(2);
  });

  /**
   * Kills every process of a sweep of one trial while it trains and while it predicts. texts: what
   * the trial leaves to read.
   */
  async function expectSameBytes(typed: string[], texts: string): Promise<void> {
    const hit = await beside(
      typed,
      async (place) => {
        let command = place.spawn(typed);
        for (const work of ['train', 'predict'] as const) {
          await place.moves(work);
          await place.killService('trainer');
          await place.moves(work);
          for (const service of ['supervisor', 'worker', 'temporal'] as const)
            await place.killService(service);
          await command.kill();
          command = place.spawn(['watch', place.sweepId()]);
        }
        expect((await command.ended).status).toBe(0);
      },
      [texts],
    );
    expect(comparable(hit)).toHaveLength(1);
  }

  /**
   * Runs a sweep undisturbed and beside it in another workplace as `disturb` has it, which is
   * returned. Both must have the same results and the same bytes of adapters, masks, predictions
   * and `texts`.
   */
  async function beside(
    typed: string[],
    disturb: (place: Workplace) => Promise<void>,
    texts: string[] = [],
  ): Promise<Workplace> {
    const [calm, hit] = [workplace('calm'), workplace('hit')];
    const [undisturbed] = await Promise.all([calm.run(typed), disturb(hit)]);
    expect(undisturbed.status).toBe(0);
    expect(comparable(hit)).toEqual(comparable(calm));
    expect(filesOfTrials(hit, texts)).toEqual(filesOfTrials(calm, texts));
    return hit;
  }
});

/** Digests of what a trial leaves: adapter, masks, predictions and texts. */
function filesOfTrials({ root }: Workplace, texts: string[]) {
  const names = ['adapter', 'masks.safetensors', 'predictions.validation.safetensors', ...texts];
  return readdirSync(join(root, 'trials')).flatMap((trial) =>
    names.map((name) => artifactOnDisk(root, `trials/${trial}/${name}`)),
  );
}

/** results.jsonl, line by line, without timings. */
function comparable(place: Workplace): unknown[] {
  const lines = readFileSync(join(place.root, 'sweeps', place.sweepId(), 'results.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const { train, ...result } = JSON.parse(line) as { train: { steps: number } };
    return { ...result, steps: train.steps };
  });
}
