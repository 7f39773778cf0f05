/**
 * A brake for trainers: every pass of scoring, training or prediction takes at least as long as a
 * file says. A job lasts until the test lets it go, on a machine of any speed, and the processor
 * has no more to do.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './trainers';

/** Names the brake's file to the trainers that have it. */
export const BRAKE_VARIABLE = 'SA_ORCH_TEST_BRAKE';

export class Brake {
  /** Stands in for the interpreter of the PyTorch trainer. */
  readonly python: string;
  /** In this environment the trainers that `sa-orch` starts have the brake. */
  readonly env: NodeJS.ProcessEnv;
  private readonly file: string;

  /** python: an interpreter that has the trainer's packages. */
  constructor(folder: string, python: string) {
    mkdirSync(folder, { recursive: true });
    this.file = join(folder, 'brake');
    this.python = join(folder, 'python');
    const script = join(REPOSITORY, 'test/support/braked_trainer.py');
    writeFileSync(
      this.python,
      '#!/bin/sh\n' +
        `[ "$1 $2" = "-m sparse_adapter_trainer" ] && shift 2 && set -- ${script} "$@"\n` +
        `exec ${python} "$@"\n`,
      { mode: 0o755 },
    );
    this.env = {
      [BRAKE_VARIABLE]: this.file,
      SA_ORCH_PYTHON: this.python,
      NODE_OPTIONS: `--require ${join(REPOSITORY, 'dist/test/support/brake-host.js')}`,
    };
  }

  /** From now on a pass takes this long; by default a second, which is told as progress. */
  hold(ms = 1000): void {
    writeFileSync(this.file, String(ms));
  }

  release(): void {
    rmSync(this.file, { force: true });
  }
}
