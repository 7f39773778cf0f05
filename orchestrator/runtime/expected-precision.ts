/**
 * Which precision a start would choose by default, as far as is known without starting anything.
 */
import { Precision } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defaultPrecision, type DefaultPrecision } from '../trainer-client/capabilities';
import { expectsGpu } from './gpu';
import { expandSource } from '../trainer-client/sources';
import { listSources, readRuntimeConfig } from './runtime-config';
import type { Framework } from './trainer-command';
import { askCapabilities } from './trainer-health';

const ANSWER_MS = 3000;

/** What each trainer lists on a GPU, used if no trainer is running. */
const ON_A_GPU: Record<Framework, Precision[]> = {
  torch: [Precision.PRECISION_FLOAT32, Precision.PRECISION_TF32, Precision.PRECISION_BF16],
  tfjs: [Precision.PRECISION_FLOAT32],
};

/**
 * The default of the first trainer of this state directory that answers, else of one that would be
 * started here.
 */
export async function expectedPrecision(
  stateDir: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DefaultPrecision> {
  const config = readRuntimeConfig(stateDir);
  for (const source of config ? listSources(config) : []) {
    for (const trainer of (await expandSource(source)).trainers) {
      const capabilities = await askCapabilities(trainer, ANSWER_MS).catch(() => undefined);
      if (capabilities) return defaultPrecision(capabilities);
    }
  }
  const local = config?.local;
  const kind = expectsGpu(local?.list[0]?.device ?? 'auto', env) ? 'cuda' : 'cpu';
  const device = { kind, name: '', memoryBytes: 0, threads: 0 };
  return defaultPrecision({ devices: [device], precisions: ON_A_GPU[local?.framework ?? 'torch'] });
}
