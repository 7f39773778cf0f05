/**
 * A trainer process for tests, of any framework.
 *
 * SA_ORCH_TEST_TRAINER is the command that starts one, split at spaces, for example `node dist/trainer/tfjs/main.js`; without it the torch trainer is
 * started with SA_ORCH_TEST_PYTHON. `--listen`, `--root`, `--state` and `--queue-length` are added to it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectTrainer, type TrainerClient } from '../../orchestrator/trainer-client/client';

/** The repository, whether this runs from its sources or from dist/. */
export const REPOSITORY = [join(__dirname, '../..'), join(__dirname, '../../..')].find((folder) =>
  existsSync(join(folder, 'package.json')),
)!;

/** Where the torch trainer's Python finds its own package and the contract's. */
export const PYTHON_PATH = process.env.PYTHONPATH ?? [join(REPOSITORY, 'trainer/torch'), join(REPOSITORY, 'gen/python')].join(delimiter);

/** Why trainers cannot be started here; undefined where they can. */
export function whyNoTrainer(): string | undefined {
  if (!process.env.SA_ORCH_TEST_BACKBONE) return 'SA_ORCH_TEST_BACKBONE names no backbone directory';
  if (!process.env.SA_ORCH_TEST_TRAINER && !process.env.SA_ORCH_TEST_PYTHON)
    return 'neither SA_ORCH_TEST_TRAINER nor SA_ORCH_TEST_PYTHON is set';
  return undefined;
}

/** `describe`, or a skipped one whose title says why. */
export function describeTrainer(title: string, body: () => void): void {
  const why = whyNoTrainer();
  if (why) describe.skip(`${title} (skipped: ${why})`, body);
  else describe(title, body);
}

/** Where a trainer works: a temporary folder that outlives its processes. Its name leaves room for a socket's path. */
export class TrainerPlace {
  readonly folder = mkdtempSync(join(tmpdir(), 'sat-'));
  readonly root = join(this.folder, 'root');
  readonly address = `unix:${this.folder}/t.sock`;
  private readonly started: TrainerProcess[] = [];

  /** Starts a trainer and waits until it listens. */
  async start(options: string[] = []): Promise<TrainerProcess> {
    const trainer = new TrainerProcess(this, spawnTrainer(this, options));
    this.started.push(trainer);
    await trainer.ready();
    return trainer;
  }

  /** Ends the trainers of this place and removes its folder. */
  async remove(): Promise<void> {
    for (const trainer of this.started) await trainer.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Starts a trainer's process, whatever comes of it. Its log goes to this process's standard error where SA_ORCH_TEST_VERBOSE is set. */
export function spawnTrainer(place: TrainerPlace, options: string[]): ChildProcess {
  const [command, ...first] = process.env.SA_ORCH_TEST_TRAINER?.split(' ') ?? [
    process.env.SA_ORCH_TEST_PYTHON!,
    '-m',
    'sparse_adapter_trainer',
  ];
  return spawn(
    command!,
    [...first, '--listen', place.address, '--root', place.root, '--state', join(place.folder, 'state'), '--queue-length', '2', ...options],
    {
      cwd: REPOSITORY,
      env: { ...process.env, PYTHONPATH: PYTHON_PATH },
      stdio: ['ignore', 'pipe', process.env.SA_ORCH_TEST_VERBOSE ? 'inherit' : 'ignore'],
    },
  );
}

export class TrainerProcess {
  readonly client: TrainerClient;
  private readonly ended: Promise<number | null>;

  constructor(
    place: TrainerPlace,
    private readonly process: ChildProcess,
  ) {
    this.client = connectTrainer(place.address);
    this.ended = new Promise((resolve) => process.on('exit', (status) => resolve(status)));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The JSON line that a trainer prints once it listens. */
  async ready(): Promise<unknown> {
    const lines = createInterface({ input: this.process.stdout! });
    const first = new Promise<string>((resolve) => lines.once('line', resolve));
    const line = await Promise.race([
      first,
      this.ended.then((status) => Promise.reject(new Error(`the trainer ended with status ${status}`))),
    ]);
    return JSON.parse(line);
  }

  /** Ends the process as a power switch would. */
  async kill(): Promise<void> {
    this.client.close();
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Asks the process to end, and returns its exit status. */
  async stop(): Promise<number | null> {
    this.client.close();
    this.process.kill('SIGTERM');
    return this.ended;
  }
}
