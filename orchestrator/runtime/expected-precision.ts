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
 * The default of most slots of this state directory's trainers, as far as they answer, else of a
 * trainer that would be started here.
 */
export async function expectedPrecision(
  stateDir: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DefaultPrecision> {
  const config = readRuntimeConfig(stateDir);
  const sources = await Promise.all((config ? listSources(config) : []).map(expandSource));
  const answers = await Promise.all(
    sources
      .flatMap(({ trainers }) => trainers)
      .map((trainer) => askCapabilities(trainer, ANSWER_MS).catch(() => undefined)),
  );
  const slots = new Map<string, number>();
  for (const capabilities of answers) {
    if (capabilities === undefined) continue;
    const key = JSON.stringify(defaultPrecision(capabilities));
    slots.set(key, (slots.get(key) ?? 0) + capabilities.slots);
  }
  const [most] = [...slots].sort(([, a], [, b]) => b - a);
  if (most !== undefined) return JSON.parse(most[0]) as DefaultPrecision;
  const local = config?.local;
  const kind = expectsGpu(local?.list[0]?.device ?? 'auto', env) ? 'cuda' : 'cpu';
  const device = { kind, name: '', memoryBytes: 0, memoryUsedBytes: 0, threads: 0 };
  return defaultPrecision({ devices: [device], precisions: ON_A_GPU[local?.framework ?? 'torch'] });
}
