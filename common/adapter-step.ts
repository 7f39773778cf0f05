/** At which step of its trial an adapter is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The step in an adapter's folder; undefined if there is none, or it does not say its step. */
export function readAdapterStep(folder: string): number | undefined {
  try {
    const text = readFileSync(join(folder, 'adapter_config.json'), 'utf8');
    const { step } = JSON.parse(text) as { step?: unknown };
    return typeof step === 'number' ? step : undefined;
  } catch {
    return undefined;
  }
}
