/** A folder in which a user works: its own state and artifact root, and the built command. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../common/package';
import { runtimeStatus } from '../../orchestrator/runtime/status';
import type { Plan } from '../../orchestrator/sweep/types';

const COMMAND = join(packageRoot(), 'bin', 'sa-orch.js');

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

/** What `status --json` says of a service. */
interface Service {
  name: string;
  state: string;
  pid: number | null;
}

export class Workplace {
  readonly root: string;
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(
    readonly folder: string,
    env: NodeJS.ProcessEnv = {},
    root = join(folder, 'checkpoints'),
    /** How many files each process may have open; by default as many as the test's. */
    private readonly mostOpenFiles?: number,
  ) {
    mkdirSync(folder, { recursive: true });
    this.root = root;
    this.stateDir = join(folder, '.sa-orch');
    // Settings of whoever runs the tests must not send them to another server, nor to some of the
    // machine's GPUs.
    const {
      TEMPORAL_ADDRESS,
      TEMPORAL_PROFILE,
      TEMPORAL_CONFIG_FILE,
      CUDA_VISIBLE_DEVICES,
      ...rest
    } = process.env;
    void [TEMPORAL_ADDRESS, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE, CUDA_VISIBLE_DEVICES];
    // The list of folders is the user's own.
    const XDG_STATE_HOME = join(folder, 'user-state');
    const places = { SA_ORCH_ROOT: this.root, SA_ORCH_STATE: this.stateDir };
    this.env = { ...rest, XDG_STATE_HOME, ...env, ...places };
  }

  /** Types a command and goes on; `ended` resolves when it ends. */
  spawn(args: string[]): { child: ChildProcess; ended: Promise<Ended>; kill(): Promise<void> } {
    const started = Date.now();
    const limit = this.mostOpenFiles === undefined ? '' : `ulimit -n ${this.mostOpenFiles} && `;
    const typed = ['-c', `${limit}exec "$@"`, 'sh', process.execPath, COMMAND, ...args];
    const child = spawn('/bin/sh', typed, {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve) => {
      // `exit`, not `close`: services that the command started in the background may hold its
      // pipes.
      child.on('exit', (status) =>
        resolve({ status, stdout, stderr, seconds: (Date.now() - started) / 1000 }),
      );
    });
    const kill = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    return { child, ended, kill };
  }

  /** Types a command and waits for its end. */
  run(args: string[]): Promise<Ended> {
    return this.spawn(args).ended;
  }

  async services(): Promise<Service[]> {
    const { stdout } = await this.run(['status', '--json']);
    return (JSON.parse(stdout) as { services: Service[] }).services;
  }

  /** The plan of its only sweep, as it is now. */
  readPlan(): Plan {
    const path = join(this.root, 'sweeps', this.sweepId(), 'plan.json');
    return JSON.parse(readFileSync(path, 'utf8')) as Plan;
  }

  /** The one sweep that was started here. */
  sweepId(): string {
    return readdirSync(join(this.root, 'sweeps'))[0]!;
  }

  /** Kills a service's process with SIGKILL, once it has one. */
  async killService(name: string): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      const pid = runtimeStatus(this.stateDir).find((service) => service.name === name)?.pid;
      if (pid) {
        process.kill(pid, 'SIGKILL');
        return;
      }
      await sleep(100);
    }
    throw new Error(`no process of ${name} to kill`);
  }

  /**
   * Kills the process in which a trainer of `trainer/host` computes, with SIGKILL; its server lives
   * on.
   */
  async killEngine(): Promise<void> {
    const trainer = (await this.services()).find(({ name }) => name === 'trainer')!.pid!;
    const [engine] = readFileSync(`/proc/${trainer}/task/${trainer}/children`, 'utf8')
      .trim()
      .split(' ');
    process.kill(Number(engine), 'SIGKILL');
  }

  /**
   * Waits until some cohort has moved on in this work since this was called: training steps, or
   * rows predicted.
   */
  async moves(work: 'train' | 'predict'): Promise<void> {
    const before = this.done(work);
    for (let tries = 0; tries < 600; tries++) {
      // Another number, not a higher one: what was killed may begin again at an earlier place.
      for (const [cohort, done] of this.done(work))
        if (done > 0 && done !== before.get(cohort)) return;
      await sleep(200);
    }
    throw new Error(`nothing moved in two minutes: ${work}`);
  }

  /** What each cohort has done of the work that it is at, as its progress file says. */
  private done(work: string): Map<string, number> {
    const sweeps = join(this.root, 'sweeps');
    const found = new Map<string, number>();
    for (const sweep of existsSync(sweeps) ? readdirSync(sweeps) : []) {
      const folder = join(sweeps, sweep, 'progress');
      for (const file of existsSync(folder)
        ? readdirSync(folder).filter((name) => name.endsWith('.json'))
        : []) {
        const progress = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
          work: string;
          done: number;
        };
        if (progress.work === work) found.set(file, progress.done);
      }
    }
    return found;
  }

  async down(): Promise<void> {
    await this.run(['down', '--force']);
  }
}
