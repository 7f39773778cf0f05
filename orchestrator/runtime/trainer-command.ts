/**
 * The trainers that can be started here, by framework: sets up once what each needs, and knows its
 * command.
 */
import { join } from 'node:path';
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { packageRoot } from '../../common/package';
import { detectGpu } from './gpu';
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
  /** torch: the user's own interpreter; SA_ORCH_PYTHON by default. */
  python?: string;
  onProgress: OnProgress;
}

/**
 * Sets up what a trainer needs, with progress lines, and returns the command that starts it. Throws
 * a UserError that says what is missing.
 */
export async function setUpTrainer(
  framework: Framework,
  { python, onProgress }: SetUpOptions,
): Promise<TrainerCommand> {
  switch (framework) {
    case 'torch': {
      const environment = await ensureTrainerEnvironment({ python, onProgress });
      onProgress('✓', 'trainer environment', environment.description);
      const { path, args } = environment.python;
      return { file: path, args: [...args, 'sparse_adapter_trainer'], env: {} };
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
 * Checks what can be known of a device before a trainer is set up; the trainer finds out whether
 * the GPU of that number exists.
 *
 * @param ownPython the user's own interpreter, whose PyTorch may have GPUs of other makers
 * @param asked the option with its value, as the user gave it
 * @throws UserError (exit 2) if trainers of this framework cannot choose the device, or there is no
 *   GPU
 */
export function checkDevice(
  framework: Framework,
  device: DeviceName | null,
  ownPython: string | null,
  hasGpu = detectGpu(),
  asked = `--device ${device}`,
): void {
  if (device?.startsWith('cuda') && !hasGpu && (framework === 'tfjs' || ownPython === null))
    throw new UserError(
      `${asked}: there is no NVIDIA GPU here, or no driver for it`,
      2,
      `Remove it, or use ${asked.split(' ')[0]} cpu. ` +
        'Services that were started here with it forget it with ' +
        '`sa-orch down`.',
    );
  if (framework !== 'tfjs' || !device?.includes(':')) return;
  const [, index] = device.split(':');
  throw new UserError(
    `${asked}: the tfjs trainer uses the first visible GPU`,
    2,
    `Use --device cuda with CUDA_VISIBLE_DEVICES=${index}.`,
  );
}

/** The options that every trainer has; null leaves a choice to the trainer. */
export function trainerArguments(
  address: string,
  root: string,
  trainerState: string,
  device: DeviceName | null,
  threads: number | null,
  unloadAfter: number | null,
): string[] {
  return [
    ...['--listen', address, '--root', root, '--state', trainerState],
    ...(device === null ? [] : ['--device', device]),
    ...(threads === null ? [] : ['--threads', String(threads)]),
    ...(unloadAfter === null ? [] : ['--unload-after', String(unloadAfter)]),
  ];
}

/**
 * Chooses a framework if the user named none: torch, or tfjs, with a note, if there is no Python
 * for torch.
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
    onProgress('!', 'trainer', `tfjs, because PyTorch is unavailable: ${error.message}`);
    onProgress(
      '!',
      'trainer',
      'it does less than torch; a sweep that needs more is refused, with a list of what is missing',
    );
    return 'tfjs';
  }
}
