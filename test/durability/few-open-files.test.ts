/** A sweep with more trials than any process may have open files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(240_000);

const TRIALS = 270;
const LIMIT = 256;
const SWEEP = `
name: many
tasks: [cola]
rows: 64
validation_rows: 32
seeds: [${Array.from({ length: TRIALS }, (_, seed) => seed + 1).join(', ')}]
adapter: {kind: head_only}
train: {steps: 2, batch_size: 16}
`;

describeTrainer(`where a process may have ${LIMIT} open files`, () => {
  let trainer: TrainerPlace;
  let place: Workplace;

  beforeAll(async () => {
    trainer = new TrainerPlace();
    await trainer.start([], 'toy');
    const folder = mkdtempSync(join(tmpdir(), 'sa-orch-few-files-'));
    const env = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
    place = new Workplace(folder, env, trainer.root, LIMIT);
    writeFileSync(join(folder, 'many.yaml'), SWEEP);
  });
  afterAll(async () => {
    await place.down();
    await trainer.remove();
    rmSync(place.folder, { recursive: true, force: true });
  });

  test(`${TRIALS} trials end, and every command reads them`, async () => {
    const started = await place.run([
      ...['start', '--sweep', './many.yaml', '--trainer', trainer.address],
    ]);
    expect(started.stdout).toContain(`${TRIALS} of ${TRIALS} trials done`);
    expect(started.status).toBe(0);
    const sweepId = place.sweepId();
    for (const command of [['status'], ['watch', sweepId], ['report', sweepId]])
      expect(await place.run(command)).toMatchObject({ status: 0 });
  });
});
