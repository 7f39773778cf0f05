/** What a user sees when it goes wrong: the message, the exit status, and that nothing is lost. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brake } from '../support/brake';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { until } from '../support/until';
import { Workplace } from '../support/workplace';

jest.setTimeout(400_000);

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const sweep = (name: string, seeds: string, steps: number) => `
name: ${name}
tasks: [cola, sst2]
rows: 64
validation_rows: 32
seeds: ${seeds}
adapter: {kind: head_only}
train: {steps: ${steps}, batch_size: 16}
`;

describe('a wrong request', () => {
  let place: Workplace;
  beforeAll(() => {
    place = new Workplace(mkdtempSync(join(tmpdir(), 'sa-orch-commands-')), OFFLINE);
  });
  afterAll(() => rmSync(place.folder, { recursive: true, force: true }));

  test('in a sweep file ends with status 2, names fields and lines, starts nothing', async () => {
    writeFileSync(
      join(place.folder, 'bad.yaml'),
      'tasks: [mrcp]\ncompare:\n  - {pruner: snip, sparsity: 1.2}\nsedes: [1]\n',
    );
    const { status, stderr } = await place.run(['start', '--sweep', './bad.yaml']);
    expect(status).toBe(2);
    expect(stderr).toContain('bad.yaml:1: tasks[0]: "mrcp" is not allowed; must be one of cola');
    expect(stderr).toContain('bad.yaml:3: compare[0].sparsity: 1.2 is not allowed; must be');
    expect(stderr).toContain('bad.yaml:4: sedes is not a key here; did you mean "seeds"?');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(existsSync(place.stateDir)).toBe(false);
  });

  test('for rows that are missing ends with status 2 and names the missing file', async () => {
    const { status, stderr } = await place.run([
      'start',
      '--sweep',
      'glue',
      '--tasks',
      'rte',
      '--data-dir',
      place.folder,
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain(join(place.folder, 'RTE', 'train.tsv'));
    expect(existsSync(place.stateDir)).toBe(false);
  });

  test.each([
    [
      ['--device', 'cuda:x'],
      "option '--device <name>' argument 'cuda:x' is invalid. must be auto, cpu, cuda or " +
        'cuda:<index>',
    ],
    [
      ['--precision', 'half'],
      "option '--precision <name>' argument 'half' is invalid. Allowed choices are float32, " +
        'tf32, bf16',
    ],
  ])('of %j ends with status 2 and what would be right', async (options, message) => {
    const { status, stderr } = await place.run(['start', '--sweep', 'glue', ...options]);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(existsSync(place.stateDir)).toBe(false);
  });

  test('for an unknown command ends with status 2 and suggests the right one', async () => {
    const { status, stderr } = await place.run(['strat', '--sweep', 'glue']);
    expect(status).toBe(2);
    expect(stderr).toContain('Did you mean start?');
  });

  test('with --json prints one document with the message and the status', async () => {
    const { status, stdout } = await place.run(['plan', '--sweep', 'nosuch', '--json']);
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      error: {
        exit_status: 2,
        message: expect.stringContaining('no sweep is named "nosuch"') as string,
      },
    });
  });
});

describeTrainer('a trainer of one’s own', () => {
  let trainers: TrainerPlace;
  let place: Workplace;
  let brake: Brake;
  beforeAll(async () => {
    trainers = new TrainerPlace();
    brake = new Brake(join(trainers.folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
    await trainers.start(['--queue-length', '1'], 'toy', brake);
    place = new Workplace(join(trainers.folder, 'place'), OFFLINE, trainers.root);
    writeFileSync(join(place.folder, 'one.yaml'), sweep('one', '[1, 2]', 30));
    writeFileSync(join(place.folder, 'two.yaml'), sweep('two', '[3, 4]', 20));
    writeFileSync(join(place.folder, 'three.yaml'), sweep('three', '[5, 6]', 20));
    writeFileSync(join(place.folder, 'four.yaml'), sweep('four', '[7, 8]', 100));
  });
  afterAll(async () => {
    await place.down();
    await trainers.remove();
  });

  const start = (file: string) => ['start', '--sweep', `./${file}`, '--trainer', trainers.address];
  const findId = (name: string) => sweepsIn(place).find((id) => id.startsWith(`${name}-`));
  const begun = (name: string) =>
    soon(() => findId(name) !== undefined && readProgress(place, findId(name)!).length > 0);

  test('that is busy makes other sweeps wait; a killed command loses nothing', async () => {
    brake.hold();
    const first = place.spawn(start('one.yaml'));
    await begun('one');
    const second = place.run(start('two.yaml'));
    await soon(() => findId('two') !== undefined);
    const third = place.run(start('three.yaml'));
    await soon(() => findId('three') !== undefined);
    await first.kill();
    const waiting = new RegExp(`waits for a trainer: busy with ${findId('one')!}`);
    for (let tries = 0, shown = ''; !waiting.test(shown); tries++) {
      expect(tries).toBeLessThan(30);
      shown = (await place.run(['status'])).stdout;
    }
    brake.release();
    expect((await second).status).toBe(0);
    expect((await third).status).toBe(0);
    const watched = await place.run(['watch', findId('one')!, '--json']);
    expect(watched.status).toBe(0);
    const { results } = JSON.parse(watched.stdout) as { results: { status: string }[] };
    expect(results.map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
    const report = readFileSync(join(place.root, 'sweeps', findId('one')!, 'report.md'), 'utf8');
    expect(report.split('\n')[0]).toMatch(/demo rows/i);
  });

  test('whose other services die: `cancel` names them, Ctrl-C leaves with status 130', async () => {
    brake.hold();
    const command = place.spawn(start('four.yaml'));
    await begun('four');
    for (const service of ['supervisor', 'worker']) await place.killService(service);
    const withoutWorker = await place.run(['cancel', findId('four')!]);
    expect(withoutWorker).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('no worker responded within 15 s') as string,
    });
    await place.run(['down', '--force']);
    // The trainer is free for the next sweep.
    brake.release();
    const interrupted = Date.now();
    command.child.kill('SIGINT');
    const { status, stderr } = await command.ended;
    expect(Date.now() - interrupted).toBeLessThan(15_000);
    expect(status).toBe(130);
    expect(stderr.trim().split('\n')).toEqual([
      // Which of them depends on the question that was under way as the server went.
      expect.stringMatching(
        new RegExp(
          '^four-\\w+ (will continue once its server can be reached|keeps running) ' +
            '\\(0 of 4 trials done\\)\\.$',
        ),
      ),
      expect.stringMatching(/^ {2}follow it {3}\S+ \S+ watch four-/),
      expect.stringMatching(/^ {2}end it {6}\S+ \S+ cancel four-/),
    ]);
    const withoutServer = await place.run(['cancel', findId('four')!]);
    expect(withoutServer).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('no services were started in') as string,
    });
  });

  test('that cannot compute as asked is refused with status 2, with how it can', async () => {
    writeFileSync(join(place.folder, 'head.yaml'), sweep('head', '[1]', 2));
    const { status, stderr } = await place.run([...start('head.yaml'), '--precision', 'bf16']);
    expect(status).toBe(2);
    expect(stderr).toContain(
      "cannot run this sweep:\n  precision bf16 is not among the trainer's: float32\n",
    );
    expect(findId('head')).toBeUndefined();
  });

  test('that uses a different artifact root is sent what it needs', async () => {
    const elsewhere = new Workplace(join(trainers.folder, 'elsewhere'), OFFLINE);
    try {
      writeFileSync(join(elsewhere.folder, 'one.yaml'), sweep('one', '[1]', 2));
      const { status, stderr } = await elsewhere.run([
        'start',
        '--sweep',
        './one.yaml',
        '--trainer',
        trainers.address,
      ]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    } finally {
      await elsewhere.down();
    }
  });
});

const sweepsIn = (place: Workplace) =>
  existsSync(join(place.root, 'sweeps')) ? readdirSync(join(place.root, 'sweeps')) : [];

function readProgress(place: Workplace, sweepId: string): { note: string | null }[] {
  const folder = join(place.root, 'sweeps', sweepId, 'progress');
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.json'))
    : [];
  return files.map(
    (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { note: string | null },
  );
}

const soon = (holds: () => boolean): Promise<void> => until(holds, 120);
