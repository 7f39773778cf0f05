/** A trainer process for tests, of any framework: the one of the Jest project (trainers.ts). */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { connectTrainer, type TrainerClient } from '../../orchestrator/trainer-client/client';
import type { Brake } from './brake';
import { REPOSITORY, trainerCommand, trainerUnderTest, type TrainerName } from './trainers';

/** Why trainers cannot be started here; undefined where they can. */
export function whyNoTrainer(): string | undefined {
  const command = trainerCommand(trainerUnderTest());
  return 'missing' in command ? command.missing : undefined;
}

/** `describe`, or a skipped one whose title says why. */
export function describeTrainer(title: string, body: () => void): void {
  const why = whyNoTrainer();
  if (why) describe.skip(`${title} (skipped: ${why})`, body);
  else describe(title, body);
}

/**
 * Where a trainer works: a temporary folder that outlives its processes. Its name leaves room for a
 * socket's path.
 */
export class TrainerPlace {
  readonly folder = mkdtempSync(join(tmpdir(), 'sat-'));
  readonly root: string;
  readonly address = `unix:${this.folder}/t.sock`;
  private readonly started: TrainerProcess[] = [];

  /** root: another place's artifact root, for two trainers on one. */
  constructor(root?: string) {
    this.root = root ?? join(this.folder, 'root');
  }

  /** Starts a trainer and waits until it listens. */
  async start(
    options: string[] = [],
    name = trainerUnderTest(),
    brake?: Brake,
  ): Promise<TrainerProcess> {
    const trainer = new TrainerProcess(this, spawnTrainer(this, options, { name, brake }));
    this.started.push(trainer);
    await trainer.ready();
    return trainer;
  }

  /**
   * Ends the trainers of this place and removes its folder. An engine that is a process of its own
   * ends a moment after its trainer and may write until then, hence the retries.
   */
  async remove(): Promise<void> {
    for (const trainer of this.started) await trainer.kill();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

interface SpawnOptions {
  name?: TrainerName;
  stderr?: 'inherit' | 'ignore' | 'pipe';
  brake?: Brake;
}

/**
 * Starts a trainer's process, whatever comes of it. Its log goes to this process's standard error
 * where SA_ORCH_TEST_VERBOSE is set.
 */
export function spawnTrainer(
  place: TrainerPlace,
  options: string[],
  {
    name = trainerUnderTest(),
    stderr = process.env.SA_ORCH_TEST_VERBOSE ? 'inherit' : 'ignore',
    brake,
  }: SpawnOptions = {},
): ChildProcess {
  const command = trainerCommand(name);
  if ('missing' in command) throw new Error(command.missing);
  const where = [
    '--listen',
    place.address,
    '--root',
    place.root,
    '--state',
    join(place.folder, 'state'),
    '--queue-length',
    '2',
  ];
  return spawn(command.file, [...command.args, ...where, ...options], {
    cwd: REPOSITORY,
    env: { ...process.env, ...command.env, ...brake?.env },
    stdio: ['ignore', 'pipe', stderr],
  });
}

/** Starts a trainer that cannot go on, and returns how it ends and what it says of it. */
export async function refusedTrainer(
  place: TrainerPlace,
  options: string[],
  name?: TrainerName,
): Promise<{ status: number | null; stderr: string }> {
  const trainer = spawnTrainer(place, options, { name, stderr: 'pipe' });
  const ended = new Promise<number | null>((resolve) => trainer.on('exit', resolve));
  const [status, stderr] = await Promise.all([ended, text(trainer.stderr!)]);
  return { status, stderr };
}

export class TrainerProcess {
  readonly client: TrainerClient;
  /** The address that it says it listens on, once it is ready. */
  listening = '';
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

  /** Waits for the JSON line that a trainer prints once it listens. */
  async ready(): Promise<void> {
    const lines = createInterface({ input: this.process.stdout! });
    const first = new Promise<string>((resolve) => lines.once('line', resolve));
    const line = await Promise.race([
      first,
      this.ended.then((status) =>
        Promise.reject(new Error(`the trainer ended with status ${status}`)),
      ),
    ]);
    this.listening = (JSON.parse(line) as { listening: string }).listening;
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
