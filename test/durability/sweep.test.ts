/**
 * The promise of the project: whatever is killed while a sweep trains, it ends with the numbers
 * that it would have had. Real processes, real kills, the commands that a user types.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testIf } from '../support/reference';
import { comparable, TwoRuns } from './two-runs';

const { SA_ORCH_DATA: data, SA_ORCH_TEST_PYTHON: python, SA_ORCH_TEST_TFJS: tfjs } = process.env;
const withTorch = testIf('a sweep whose processes are killed', { SA_ORCH_TEST_PYTHON: python });
const withTfjs = testIf('a sweep through the TensorFlow.js trainer whose processes are killed', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_TFJS: tfjs,
});
const SWEEP = `
name: durable
tasks: [cola, sst2]
rows: 128
validation_rows: 32
seeds: [1, 2]
adapter: {bottleneck: 16}
compare:
  - {pruner: none}
  - {pruner: snip, sparsity: 0.8}
train: {steps: 20, batch_size: 16, learning_rate: 1.0e-3, dropout: 0.1}
`;
const TENSORFLOW = `
name: durable-tensorflow
tasks: [mrpc, rte]
rows: 128
validation_rows: 32
seeds: [1]
adapter: {bottleneck: 16}
compare:
  - {pruner: snip, sparsity: 0.8}
train: {steps: 16, batch_size: 8, learning_rate: 1.0e-3, dropout: 0.1}
`;

// Every kill is followed by a start, and a killed worker's work is taken up after its timeout.
jest.setTimeout(900_000);

describe('a sweep whose processes are killed', () => {
  let runs: TwoRuns;
  beforeEach(() => (runs = new TwoRuns(python!, data)));
  afterEach(() => runs.remove());

  withTorch(
    'ends with the digits of an undisturbed one after each process was killed',
    async () => {
      writeFileSync(join(runs.folder, 'durable.yaml'), SWEEP);
      const typed = runs.startArguments('durable.yaml');
      const hit = await runs.compare(typed, async ({ place, brake }) => {
        const command = place.spawn(typed);
        for (const service of ['trainer', 'worker', 'temporal'] as const) {
          await place.moves('train');
          await place.killService(service);
        }
        await place.moves('train');
        await place.killService('supervisor');
        await command.kill();
        brake.release();
        // The trainer goes on without anybody; now nothing is typed but `watch`.
        expect((await place.run(['watch', place.sweepId()])).status).toBe(0);
      });
      expect(comparable(hit)).toHaveLength(8);
      const again = await hit.run([...typed, '--json']);
      expect(again.status).toBe(0);
      expect(again.seconds).toBeLessThan(30);
    },
  );

  withTfjs('does so with the TensorFlow.js trainer, whose engine is killed as well', async () => {
    writeFileSync(join(runs.folder, 'tensorflow.yaml'), TENSORFLOW);
    const typed = [...runs.startArguments('tensorflow.yaml'), '--framework', 'tfjs'];
    const hit = await runs.compare(typed, async ({ place, brake }) => {
      const command = place.spawn(typed);
      await place.moves('train');
      await place.killEngine();
      await place.moves('train');
      for (const service of ['supervisor', 'trainer', 'worker', 'temporal'] as const)
        await place.killService(service);
      await command.kill();
      brake.release();
      expect((await place.run(['watch', place.sweepId()])).status).toBe(0);
    });
    expect(comparable(hit)).toHaveLength(2);
  });
});
