/**
 * A trainer on a machine that shares no disk: a folder with a root and a state of its own, reached
 * through TLS on a port that stays the same.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Brake } from './brake';
import { makeCertificates } from './certificates';
import { findFreePort } from './free-port';
import { REPOSITORY, trainerCommand, type TrainerName } from './trainers';

export class GpuBox {
  readonly root: string;
  address = '';
  private trainer: ChildProcess | undefined;

  constructor(
    readonly folder: string,
    private readonly name: TrainerName,
    private readonly brake?: Brake,
    /** Another one whose certificates it has, since a client has one set for all. */
    private readonly like?: GpuBox,
  ) {
    this.root = join(folder, 'root');
    mkdirSync(folder, { recursive: true });
    if (like === undefined) makeCertificates(folder);
  }

  private certificate(name: string): string {
    return join((this.like ?? this).folder, name);
  }

  /** Environment variables with which a client is let in. */
  get clientEnv(): Record<string, string> {
    return {
      SA_ORCH_TRAINER_CA: this.certificate('ca.pem'),
      SA_ORCH_TRAINER_CERT: this.certificate('client.pem'),
      SA_ORCH_TRAINER_KEY: this.certificate('client.key'),
    };
  }

  /** Starts the trainer, and waits until it listens. */
  async start(): Promise<void> {
    if (this.address === '') this.address = `localhost:${await findFreePort()}`;
    const command = trainerCommand(this.name);
    if ('missing' in command) throw new Error(command.missing);
    const [certificate, key] = ['server.pem', 'server.key'].map((name) => this.certificate(name));
    const args = [
      ...['--listen', this.address, '--root', this.root, '--state', join(this.folder, 'state')],
      ...['--tls-cert', certificate!, '--tls-key', key!],
      ...['--tls-client-ca', this.certificate('ca.pem')],
    ];
    this.trainer = spawn(command.file, [...command.args, ...args], {
      cwd: REPOSITORY,
      env: { ...process.env, ...command.env, ...this.brake?.env },
      stdio: ['ignore', 'pipe', process.env.SA_ORCH_TEST_VERBOSE ? 'inherit' : 'ignore'],
    });
    await once(createInterface({ input: this.trainer.stdout! }), 'line');
  }

  /** Ends the trainer as a power switch would. */
  async kill(): Promise<void> {
    const { trainer } = this;
    if (trainer === undefined || trainer.exitCode !== null || trainer.signalCode !== null) return;
    const ended = once(trainer, 'exit');
    trainer.kill('SIGKILL');
    await ended;
  }

  /** The machine is replaced by an empty one: what the trainer had is gone. */
  async lose(): Promise<void> {
    await this.kill();
    for (const name of ['root', 'state'])
      rmSync(join(this.folder, name), { recursive: true, force: true, maxRetries: 20 });
  }

  /** Bytes of files that are arriving. */
  arriving(): number {
    const folder = join(this.root, '.uploads');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names
      .filter((name) => name.startsWith('.part.'))
      .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
  }
}
