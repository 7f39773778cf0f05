/**
 * The trainers that the conformance suite runs against, each a Jest project of its own with the
 * same cases.
 *
 *   conformance        the command in SA_ORCH_TEST_TRAINER, split at spaces, for example
 *                      `my-trainer --verbose`; else the torch trainer
 *   conformance-tfjs   the TensorFlow.js trainer, with the TensorFlow.js at SA_ORCH_TEST_TFJS
 *   conformance-toy    the toy in test/support/toy-trainer
 *
 * Those of this repository have one thread, so that two can be tested at a time.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The repository, whether this runs from its sources or from dist/. */
export const REPOSITORY = [join(__dirname, '../..'), join(__dirname, '../../..')].find((folder) =>
  existsSync(join(folder, 'package.json')),
)!;

/** Where the torch trainer's Python finds its own package and the contract's. */
export const PYTHON_PATH =
  process.env.PYTHONPATH ??
  [join(REPOSITORY, 'trainer/torch'), join(REPOSITORY, 'gen/python')].join(delimiter);

export interface TrainerCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

export type TrainerName = 'default' | 'tfjs' | 'toy';

/**
 * How a trainer is started, or why it cannot be started here. `--listen`, `--root`, `--state` and
 * `--queue-length` are added to it.
 */
export function trainerCommand(name: TrainerName): TrainerCommand | { missing: string } {
  if (!process.env.SA_ORCH_TEST_BACKBONE)
    return { missing: 'SA_ORCH_TEST_BACKBONE names no backbone directory' };
  const built = (main: string): string => join(REPOSITORY, 'dist', main);
  switch (name) {
    case 'toy':
      return { file: process.execPath, args: [built('test/support/toy-trainer/main.js')], env: {} };
    case 'tfjs': {
      const modulePath = process.env.SA_ORCH_TEST_TFJS;
      if (!modulePath) return { missing: 'SA_ORCH_TEST_TFJS is not set' };
      return {
        file: process.execPath,
        args: [built('trainer/tfjs/main.js'), '--threads', '1'],
        env: { SA_ORCH_TFJS_NODE: modulePath },
      };
    }
    case 'default': {
      const [file, ...args] = process.env.SA_ORCH_TEST_TRAINER?.split(' ') ?? [];
      if (file) return { file, args, env: {} };
      const python = process.env.SA_ORCH_TEST_PYTHON;
      if (!python)
        return { missing: 'neither SA_ORCH_TEST_TRAINER nor SA_ORCH_TEST_PYTHON is set' };
      return {
        file: python,
        args: ['-m', 'sparse_adapter_trainer', '--threads', '1'],
        env: { PYTHONPATH: PYTHON_PATH },
      };
    }
  }
}

/** The trainer of this Jest project; `default` outside of Jest. */
export function trainerUnderTest(): TrainerName {
  return (globalThis as { trainerUnderTest?: TrainerName }).trainerUnderTest ?? 'default';
}
