/**
 * A brake for trainers: every pass of scoring, training or prediction takes at least as long as a
 * file says. A job lasts until the test lets it go, on a machine of any speed, and the processor
 * has no more to do.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './trainers';

/** Names the brake's file to the trainers that have it. */
export const BRAKE_VARIABLE = 'SA_ORCH_TEST_BRAKE';

export class Brake {
  /** In this environment the trainers that `sa-orch` starts have the brake. */
  readonly env: NodeJS.ProcessEnv;
  private readonly file: string;

  /** python: an interpreter that has the trainer's packages. */
  constructor(folder: string, python: string) {
    mkdirSync(folder, { recursive: true });
    this.file = join(folder, 'brake');
    const standIn = join(folder, 'python');
    const script = join(REPOSITORY, 'test/support/braked_trainer.py');
    const braked = `-c 'import runpy; runpy.run_path("${script}", run_name="__main__")'`;
    // Whatever comes before it, the module of the PyTorch trainer is replaced.
    writeFileSync(
      standIn,
      '#!/bin/sh\n' +
        'for each; do\n' +
        '  shift\n' +
        '  case "$each" in\n' +
        `    sparse_adapter_trainer) set -- "$@" ${braked} ;;\n` +
        '    *) set -- "$@" "$each" ;;\n' +
        '  esac\n' +
        'done\n' +
        `exec ${python} "$@"\n`,
      { mode: 0o755 },
    );
    this.env = {
      [BRAKE_VARIABLE]: this.file,
      SA_ORCH_PYTHON: standIn,
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

  /** Whether it has held up any pass: otherwise a test that needs it tests nothing. */
  get wasFelt(): boolean {
    return existsSync(`${this.file}.felt`);
  }
}
