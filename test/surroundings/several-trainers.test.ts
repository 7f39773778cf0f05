/** Several trainers on one machine: of those that are started one may be broken; others join. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTrainers } from '../../orchestrator/trainer-client/registry';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(120_000);

interface Listed {
  name: string;
  state: string;
  device: string;
  threads: number;
  gpu: string | null;
  address: string;
  pid: number | null;
  since: string | null;
}

describeTrainer('several trainers', () => {
  let place: Workplace;
  let toys: TrainerPlace;
  beforeAll(async () => {
    toys = new TrainerPlace();
    await toys.start([], 'toy');
    const tools = join(toys.folder, 'tools');
    const env = { HF_HUB_OFFLINE: '1', PATH: `${tools}:${process.env.PATH}` };
    place = new Workplace(join(toys.folder, 'place'), env, toys.root);
    writeFilmReviews(place.folder, { adapter: '{ kind: head_only }' });
    mkdirSync(tools);
    writeTools(tools);
  });
  afterAll(async () => {
    await place.down();
    await toys.remove();
  });

  /** A driver that tells of two GPUs, and a Python whose PyTorch cannot use one of them. */
  function writeTools(folder: string): void {
    const write = (name: string, body: string) =>
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    write('nvidia-smi', "printf 'GPU 0: A (UUID: GPU-0)\\nGPU 1: A (UUID: GPU-1)\\n'");
    write(
      'python',
      'case "$*" in *--device?cuda*) echo "no use of GPU $CUDA_VISIBLE_DEVICES"; exit 2;; esac\n' +
        `exec ${process.env.SA_ORCH_TEST_PYTHON} "$@"`,
    );
  }

  const listed = async (): Promise<Listed[]> => {
    const { stdout } = await place.run(['status', '--json']);
    return (JSON.parse(stdout) as { trainers: Listed[] }).trainers;
  };

  test('start although one is broken, take another on, and leave the root together', async () => {
    const python = join(toys.folder, 'tools', 'python');
    const devices = ['--devices', 'cpu,cuda:1', '--threads', '1', '--python', python];
    const up = await place.run(['up', ...devices, '--json']);
    expect(up.stderr).toMatch(/✓ trainer torch \S+ +cpu, 1 thread/);
    expect(up.stderr).toMatch(/! trainer-2 +trainer-2 refuses these settings:\n.*no use of GPU 1/);
    expect(up.status).toBe(0);
    const { trainer, trainers } = JSON.parse(up.stdout) as { trainer: Listed; trainers: Listed[] };
    expect(trainer.address).toBe(trainers[0]!.address);
    expect(trainers).toMatchObject([
      { name: 'trainer', state: 'ready', device: 'cpu', threads: 1, gpu: null },
      { name: 'trainer-2', device: 'cuda', gpu: '1', since: null },
    ]);
    expect(trainers[0]!.pid).toBeGreaterThan(1);
    expect((await readTrainers(place.root)).trainers.map(({ name }) => name)).toEqual([
      'trainer',
      'trainer-2',
    ]);

    const start = await place.run(['start', '--sweep', 's.yaml', '--trainer', toys.address]);
    expect(start.stdout).toContain(`added to the services that run: at ${toys.address}`);
    expect(start.stdout).toMatch(/! trainers +this sweep uses 1 trainer of the kind torch on cpu/);
    expect(start.stdout).toContain(`set aside: ${toys.address} (toy on cpu)`);
    expect(start).toMatchObject({ status: 0, stderr: '' });

    const other = await place.run(['up', '--trainers', '3']);
    expect(other.stderr).toContain('--trainers is 2, but 3 was requested');
    expect(other.status).toBe(2);
    expect((await listed()).map(({ name, state }) => [name, state])).toEqual([
      ['trainer', 'ready'],
      ['trainer-2', expect.any(String)],
      [toys.address, 'ready'],
    ]);
    const { stdout } = await place.run(['status']);
    expect(stdout).toMatch(/^trainer +ready +cpu, 1 thread, unix:\S+, pid \d+, since \d\d:\d\d$/m);

    expect((await place.run(['down'])).stdout).toMatch(/trainer +stopped/);
    expect(readdirSync(join(place.root, 'trainers'))).toEqual([]);
  });
});
