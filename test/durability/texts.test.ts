/**
 * Trials that leave texts, answers or summaries: all processes are killed while one trains and
 * again while it predicts, and it ends with the bytes that it would have had.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testIf } from '../support/reference';
import { comparable, TwoRuns, vocabularyIn } from './two-runs';

const { SA_ORCH_DATA: data, SA_ORCH_TEST_PYTHON: python } = process.env;
const vocabulary = vocabularyIn(data);
const withTorch = testIf('a trial of questions whose processes are killed', {
  SA_ORCH_TEST_PYTHON: python,
});
/**
 * No pretrained encoder–decoder comes with the tests: its weights are random, its vocabulary is
 * BART's.
 */
const withBart = testIf('a trial of summaries whose processes are killed', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: vocabulary,
});
/** Predicting takes a dozen passes or more, so that it can be hit in the middle. */
const QUESTIONS = `
name: durable-questions
tasks: [squad]
rows: 64
validation_rows: 80
max_length: 64
doc_stride: 16
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 12, batch_size: 8, learning_rate: 1.0e-3, dropout: 0.1}
`;
/** Texts so long that they are generated in several passes, each of which is told as progress. */
const SUMMARIES = `
name: durable-summaries
tasks: [xsum]
rows: 64
validation_rows: 120
max_length: 128
max_target_length: 32
generation: {beams: 2, max_length: 30}
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 12, batch_size: 4, learning_rate: 1.0e-3, dropout: 0.1}
`;

// Every kill is followed by a start, and a killed worker's work is taken up after its timeout.
jest.setTimeout(900_000);

describe('a trial that is killed while it trains and while it predicts', () => {
  let runs: TwoRuns;
  beforeEach(() => (runs = new TwoRuns(python!, data)));
  afterEach(() => runs.remove());

  withTorch('gives the same answers to questions', async () => {
    writeFileSync(join(runs.folder, 'questions.yaml'), QUESTIONS);
    await expectSameBytes(runs.startArguments('questions.yaml'), 'answers.validation.json');
  });

  withBart('writes the same summaries', async () => {
    const model = join(runs.folder, 'bart');
    execFileSync(python!, [join(__dirname, '../support/make_bart.py'), vocabulary!, model], {
      stdio: 'pipe',
    });
    writeFileSync(join(runs.folder, 'summaries.yaml'), SUMMARIES);
    await expectSameBytes(
      [...runs.startArguments('summaries.yaml'), '--backbone', model],
      'summaries.validation.jsonl',
    );
  });

  /** texts: the file that the trial leaves to read. */
  async function expectSameBytes(typed: string[], texts: string): Promise<void> {
    const hit = await runs.compare(
      typed,
      async ({ place, brake }) => {
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
        brake.release();
        expect((await command.ended).status).toBe(0);
      },
      [texts],
    );
    expect(comparable(hit)).toHaveLength(1);
  }
});
