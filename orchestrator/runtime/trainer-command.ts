/**
 * The trainers that can be started here, by framework: what each needs is set up once, and what
 * starts it is told.
 */
import { join } from 'node:path';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { packageRoot } from '../../common/package';
import { findBasePython } from './python';
import { findOnPath } from './run-command';
import { ensureTensorflowEnvironment } from './tensorflow-environment';
import { ensureTrainerEnvironment, pinnedEnvironment } from './trainer-environment';

export const FRAMEWORKS = ['torch', 'tfjs'] as const;
export type Framework = (typeof FRAMEWORKS)[number];

export interface TrainerCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

interface SetUpOptions {
  /** torch: the user's own interpreter; SA_ORCH_PYTHON where not given. */
  python?: string;
  onProgress: OnProgress;
}

/**
 * Sets up what a trainer needs, with progress lines, and returns what starts it. Throws UserError
 * that says what is missing.
 */
export async function setUpTrainer(
  framework: Framework,
  { python, onProgress }: SetUpOptions,
): Promise<TrainerCommand> {
  switch (framework) {
    case 'torch': {
      const environment = await ensureTrainerEnvironment({ python, onProgress });
      onProgress('✓', 'trainer environment', environment.description);
      const env = { ...environment.env, PYTHONUNBUFFERED: '1' };
      return { file: environment.python, args: ['-m', 'sparse_adapter_trainer'], env };
    }
    case 'tfjs': {
      const { env, description } = await ensureTensorflowEnvironment({ onProgress });
      onProgress('✓', 'trainer environment', description);
      const main = join(packageRoot(), 'dist', 'trainer', 'tfjs', 'main.js');
      return { file: process.execPath, args: ['--enable-source-maps', main], env };
    }
  }
}

/**
 * Whether a device is there, a trainer finds out itself.
 *
 * @throws UserError (exit 2) for one that trainers of this framework cannot choose
 */
export function checkDevice(framework: Framework, device: DeviceName | null): void {
  if (framework !== 'tfjs' || !device?.includes(':')) return;
  const [, index] = device.split(':');
  throw new UserError(
    `--device ${device}: the tfjs trainer takes the first GPU that it sees`,
    2,
    `CUDA_VISIBLE_DEVICES=${index} with --device cuda shows it that one alone.`,
  );
}

/** The options that every trainer has; what is null is the trainer's choice. */
export function trainerArguments(
  address: string,
  root: string,
  trainerState: string,
  device: DeviceName | null,
  threads: number | null,
): string[] {
  return [
    ...['--listen', address, '--root', root, '--state', trainerState],
    ...(device === null ? [] : ['--device', device]),
    ...(threads === null ? [] : ['--threads', String(threads)]),
  ];
}

/**
 * The framework that nobody named: torch, or tfjs where no Python is at hand for it, which is said.
 */
export async function chooseFramework(
  { python, onProgress }: SetUpOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Framework> {
  if (python !== undefined || env.SA_ORCH_PYTHON || pinnedEnvironment(env).isMade) return 'torch';
  try {
    await findBasePython(findOnPath('uv', env) === undefined, env);
    return 'torch';
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    onProgress('!', 'trainer', `tfjs, since torch cannot be had: ${error.message}`);
    onProgress(
      '!',
      'trainer',
      'it does less than torch; a sweep that asks for more is refused with the list of what lacks',
    );
    return 'tfjs';
  }
}
