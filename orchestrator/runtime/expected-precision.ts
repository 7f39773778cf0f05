/**
 * Which precision a start would choose by default, as far as is known without starting anything.
 */
import { Precision } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defaultPrecision, type DefaultPrecision } from '../trainer-client/capabilities';
import { expectsGpu } from './gpu';
import { readRuntimeConfig } from './runtime-config';
import type { Framework } from './trainer-command';
import { askCapabilities } from './trainer-health';

const ANSWER_MS = 3000;

/** What each trainer lists on a GPU, used if no trainer is running. */
const ON_A_GPU: Record<Framework, Precision[]> = {
  torch: [Precision.PRECISION_FLOAT32, Precision.PRECISION_TF32, Precision.PRECISION_BF16],
  tfjs: [Precision.PRECISION_FLOAT32],
};

/**
 * The default of this state directory's running trainer, else of one that would be started here.
 */
export async function expectedPrecision(
  stateDir: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DefaultPrecision> {
  const trainer = readRuntimeConfig(stateDir)?.trainer;
  const capabilities =
    trainer && (await askCapabilities(trainer, ANSWER_MS).catch(() => undefined));
  if (capabilities) return defaultPrecision(capabilities);
  const local = trainer?.kind === 'local' ? trainer : undefined;
  const kind = expectsGpu(local?.device ?? 'auto', env) ? 'cuda' : 'cpu';
  const device = { kind, name: '', memoryBytes: 0, threads: 0 };
  return defaultPrecision({ devices: [device], precisions: ON_A_GPU[local?.framework ?? 'torch'] });
}
